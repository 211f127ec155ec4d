"""Settings of the test suite: those of the product, with what a test run needs set before they are
read.

The database is SQLite unless DATABASE_URL says otherwise; the channel layer is in memory unless
REDIS_URL is set.
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
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = (
    False  # the browser of the tests speaks plain HTTP to localhost
)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, not memory: the sealer and the views write from several threads, as they do in
    # production.
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(os.environ["DATA_DIR"], "test.sqlite3")}  # noqa: PTH118
LOGGING["loggers"]["django"] = {
    "level": "CRITICAL"
}  # tests provoke 4xx answers; their lines hide what matters
RECORDER_STARTS_AT_IMPORT = SEALER_IS_A_PROCESS = False
TEST_RUNNER = "tests.runner.Runner"

# Machines that are shared stall: a property is judged by what it says, not by how long it took.
hypothesis.settings.register_profile("acsmedia", deadline=None, max_examples=60)
hypothesis.settings.load_profile("acsmedia")
