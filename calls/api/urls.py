"""Addresses below /api/. Django redirects paths without their trailing slash, which must therefore
match no pattern here.
"""

from __future__ import annotations

from django.urls import path, re_path

from calls.api import docs, holds, naming, views
from calls.api.history import audit, call_events, coverage, expected_calls, refusals
from calls.http.responses import asynchronous

app_name = "api"

urlpatterns = [
    path("v1/calls/", views.CallList.as_view(), name="call-list"),
    path("v1/calls/<uuid:pk>/", views.CallDetail.as_view(), name="call-detail"),
    path("v1/calls/<uuid:pk>/audio", asynchronous(views.CallAudio.as_view()), name="call-audio"),
    path("v1/calls/<uuid:pk>/segments/", views.CallSegments.as_view(), name="call-segments"),
    path(
        "v1/calls/<uuid:pk>/manifest",
        asynchronous(views.CallManifest.as_view()),
        name="call-manifest",
    ),
    path("v1/calls/<uuid:pk>/peaks", asynchronous(views.CallPeaks.as_view()), name="call-peaks"),
    path(
        "v1/segments/<uuid:pk>/audio",
        asynchronous(views.SegmentAudio.as_view()),
        name="segment-audio",
    ),
    path("v1/calls/<uuid:pk>/events/", call_events.CallEventList.as_view(), name="call-events"),
    path(
        "v1/calls/<uuid:pk>/participants/<uuid:participant>/",
        naming.ParticipantName.as_view(),
        name="participant",
    ),
    path("v1/coverage/", coverage.Coverage.as_view(), name="coverage"),
    path("v1/coverage/calls/", coverage.CoverageCalls.as_view(), name="coverage-calls"),
    path("v1/expected-calls/", expected_calls.ExpectedCalls.as_view(), name="expected-calls"),
    path("v1/refusals/", refusals.RefusalList.as_view(), name="refusal-list"),
    path("v1/audit/", audit.AuditList.as_view(), name="audit"),
    path("v1/holds/", holds.Holds.as_view(), name="holds"),
    path("v1/holds/<uuid:pk>/", holds.Hold.as_view(), name="hold"),
    path("schema/", docs.Schema.as_view(), name="schema"),
    path("docs/", docs.Docs.as_view(), name="docs"),
    # All other paths, except the above without their slash: CommonMiddleware redirects those only
    # if they match nothing.
    re_path(
        r"^v1/(?!calls\Z|calls/[^/]+\Z|calls/[^/]+/(?:segments|events)\Z"
        r"|audit\Z|holds\Z|holds/[^/]+\Z"
        r"|calls/[^/]+/participants/[^/]+\Z|coverage\Z|coverage/calls\Z|expected-calls\Z"
        r"|refusals\Z)",
        views.UnknownPath.as_view(),
    ),
]
