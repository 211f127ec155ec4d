"""Settings of the test suite: sets environment variables, then reads the product's settings.

The database is SQLite unless DATABASE_URL is set; the channel layer is in memory unless REDIS_URL
is set.
"""

import os
import tempfile

import hypothesis

os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0" * 50)
if "DATA_DIR" not in os.environ:
    os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="acsmedia-tests-")
os.environ.setdefault("ALLOWED_HOSTS", "testserver,localhost,127.0.0.1")
os.environ.setdefault("ACS_AUTH", "token")
os.environ.setdefault("ACS_STREAM_TOKEN", "stream-token-of-the-tests")
os.environ.setdefault("SECURE_SSL_REDIRECT", "false")
os.environ.setdefault("LOG_LEVEL", "ERROR")

from acsmedia.settings import *  # noqa: F403
from acsmedia.settings import DATABASES, LOGGING, REST_FRAMEWORK, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
STATIC_ROOT = None
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = {"anon": None, "user": None}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False  # browser tests use plain HTTP on localhost
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: the sealer and the views write from several threads, as in production.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["DATA_DIR"], "test.sqlite3")}  # noqa: PTH118
    # No test cuts the power of this process, so a commit need not wait for the disk.
    DATABASES["default"]["OPTIONS"] = {
        **DATABASES["default"]["OPTIONS"],
        "init_command": DATABASES["default"]["OPTIONS"]["init_command"].replace("FULL", "OFF"),
    }
# tests provoke many 4xx responses, whose lines would hide other lines
LOGGING["loggers"]["django"] = {"level": "CRITICAL"}
RECORDER_STARTS_AT_IMPORT = SEALER_IS_A_PROCESS = False
TEST_RUNNER = "tests.runner.Runner"

# No deadline for property tests: shared machines stall.
hypothesis.settings.register_profile("acsmedia", deadline=None, max_examples=60)
hypothesis.settings.load_profile("acsmedia")
