"""URLs of the operators' pages. REST is in calls/api/urls.py."""

from __future__ import annotations

from django.urls import path

from calls.pages import alarm_actions, call_list, call_page, dashboard, zip_download
from calls.pages.coverage import call as coverage_call
from calls.pages.coverage import page as coverage

urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("calls/", call_list.call_list, name="calls"),
    path("calls.csv", call_list.call_csv, name="calls-csv"),
    path("calls.zip", zip_download.call_zip, name="calls-zip"),
    path("calls/<uuid:pk>/", call_page.call_page, name="call"),
    path("calls/<uuid:pk>/timeline", call_page.call_timeline, name="call-timeline"),
    path("alarms/", alarm_actions.active_alarms, name="alarms"),
    path("alarms/<uuid:pk>/acknowledge", alarm_actions.acknowledge, name="alarm-acknowledge"),
    path("alarms/<uuid:pk>/snooze", alarm_actions.snooze, name="alarm-snooze"),
    path("alarms/<uuid:pk>/release", alarm_actions.release, name="alarm-release"),
    path("coverage/", coverage.coverage, name="coverage"),
    path("coverage.csv", coverage.coverage_csv, name="coverage-csv"),
    path("coverage/line", coverage.coverage_line, name="coverage-line"),
    path("coverage/<uuid:pk>/", coverage_call.coverage_call, name="coverage-call"),
    path("login/", dashboard.login, name="login"),
    path("logout/", dashboard.logout, name="logout"),
    path("password/", dashboard.password, name="password"),
    path("password/changed/", dashboard.password_changed, name="password-changed"),
]
