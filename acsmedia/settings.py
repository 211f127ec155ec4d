"""Django settings: everything that differs between installations comes from the environment.

The defaults are secure: with no variable set, the start fails and asks for SECRET_KEY. Every secret
can be read from a file instead, named by the same variable with `_FILE` appended
(`SECRET_KEY_FILE=/run/secrets/key`). The README lists all variables.
"""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from environs import EnvError, validate

from acsmedia.databases import with_options
from acsmedia.environment import each, each_network, env
from acsmedia.reporting_settings import *  # noqa: F403 - settings, too

BASE_DIR = Path(__file__).resolve().parent.parent

# what this process serves: see acsmedia/roles.py; `serve --role` sets it
ROLE = env.str("ROLE", "all", validate=validate.OneOf(["all", "ingest", "web"]))

# --- folders --------------------------------------------------------------------------------------
DATA_DIR = Path(
    env.str("DATA_DIR", str(BASE_DIR / "var"), validate=validate.Length(min=1))
).resolve()
SPOOL_DIR = DATA_DIR / "spool"  # journals: on a local disk, never on a network share
AUDIO_DIR = DATA_DIR / "audio"  # sealed segments, when AUDIO_STORE=files

# --- Django ---------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY", validate=validate.Length(min=1))
SECRET_KEY_FALLBACKS: list[str] = env.list(
    "SECRET_KEY_FALLBACKS",  # accepted, too; with an empty one anybody could sign
    default=[],
    validate=each(r".+", error="one of the keys is empty: is there a comma too many?"),
)
DEBUG = env.bool("DEBUG", default=False)
# plain HTTP, to try the product on this host: see acsmedia.W005 in streams/checks.py
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=DEBUG)
DOMAIN = env.str("DOMAIN", "", validate=validate.Regexp(r"[\w.-]*\Z", error="use a host name."))
# where users reach the site, in links of mails and webhooks
PUBLIC_URL = env.str(
    "PUBLIC_URL",
    f"https://{DOMAIN}" if DOMAIN else "",
    validate=validate.Regexp(
        r"(https?://[^/\s?#]+)?\Z", error="use an address such as https://calls.example.com."
    ),
)
ALLOWED_HOSTS: list[str] = env.list(
    "ALLOWED_HOSTS",
    default=[DOMAIN] if DOMAIN else [],
    validate=each(
        r"[^/ ]*\Z", error="use host names without https:// and path, separated by commas."
    ),
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list(
    "CSRF_TRUSTED_ORIGINS",
    default=[f"https://{DOMAIN}"] if DOMAIN else [],
    validate=each(
        r"https?://", error="use origins such as https://calls.example.com, separated by commas."
    ),
)

INSTALLED_APPS = [
    "daphne",  # before staticfiles: it replaces runserver
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "axes",
    "csp",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "acsmedia",
    "calls",
    "streams",
]

MIDDLEWARE = [
    # probes connect by IP address, with any Host and without TLS or session
    "acsmedia.monitoring.health.probes_first",
    # before the middleware that runs in a request's thread, which a lost database may block
    "acsmedia.monitoring.database_gate.DatabaseGate",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # last: its response instead of a login passes through all the others
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "acsmedia.urls"
ASGI_APPLICATION = "acsmedia.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
# SQLite ignores the columns that the index coverage_sums holds beside its key
SILENCED_SYSTEM_CHECKS = ["models.W040"]
# a path such as /acs, below which a proxy serves acsmedia beside other applications
FORCE_SCRIPT_NAME = env.str(
    "FORCE_SCRIPT_NAME",
    "",
    validate=validate.Regexp(
        r"(/[\w.~-]+)*\Z", error="use a path such as /acs, without a slash at the end."
    ),
)
STATIC_URL = f"{FORCE_SCRIPT_NAME}/static/"
STATIC_ROOT: Path | None = env.path("STATIC_ROOT", BASE_DIR / "staticfiles")
LOGIN_URL = LOGOUT_REDIRECT_URL = f"{FORCE_SCRIPT_NAME}/login/"
LOGIN_REDIRECT_URL = SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{FORCE_SCRIPT_NAME}/"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "calls.http.zones.for_templates",
            ],
        },
    },
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: it refuses before the password is checked
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "calls.passwords.EndToken"},
]

# --- persistence ----------------------------------------------------------------------------------
_database: dict[str, Any] = env.dj_db_url("DATABASE_URL", f"sqlite:///{DATA_DIR / 'db.sqlite3'}")
_password = env.str("DATABASE_PASSWORD", "")
_pool_size = env.int("DATABASE_POOL_SIZE", 10, validate=validate.Range(1, 200))
try:
    _database = with_options(_database, password=_password, pool_size=_pool_size)
except ValueError:
    raise EnvError(
        'Environment variable "DATABASE_URL" invalid: use postgres://… or sqlite:///….'
    ) from None
DATABASES: dict[str, dict[str, Any]] = {"default": _database}

REDIS_URL = env.str("REDIS_URL", "")
_redis = {"address": REDIS_URL}
if _redis_password := env.str("REDIS_PASSWORD", ""):  # one in REDIS_URL takes precedence
    _redis["password"] = _redis_password
# Pub/sub survives a restart of Redis and drops no message above a capacity. It carries live updates
# only, never data that must be kept.
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [_redis]},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    ),
}

AUDIO_STORE = env.str(
    "AUDIO_STORE", "files", validate=validate.OneOf(["files", "database", "s3", "azure"])
)
_AUDIO_STORES: dict[str, dict[str, Any]] = {
    "files": {
        "BACKEND": "calls.storage.local.DurableFileStorage",
        "OPTIONS": {"location": str(AUDIO_DIR)},
    },
    "database": {"BACKEND": "calls.storage.local.DatabaseStorage"},
    "s3": {
        "BACKEND": "calls.storage.object_storage.S3AudioStorage",
        "OPTIONS": {
            "bucket_name": env.str("S3_BUCKET", ""),
            "endpoint_url": env.str("S3_ENDPOINT_URL", "") or None,
            "region_name": env.str("S3_REGION", "") or None,
            "access_key": env.str("S3_ACCESS_KEY_ID", "") or None,
            "secret_key": env.str("S3_SECRET_ACCESS_KEY", "") or None,
        },
    },
    "azure": {
        "BACKEND": "calls.storage.object_storage.AzureAudioStorage",
        "OPTIONS": {
            "azure_container": env.str("AZURE_CONTAINER", ""),
            "connection_string": env.str("AZURE_STORAGE_CONNECTION_STRING", "") or None,
        },
    },
}
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(DATA_DIR)},
    },
    "staticfiles": {"BACKEND": "calls.http.static_files.HashedModules"},
    "audio": _AUDIO_STORES[AUDIO_STORE],
}
if DEBUG or INSECURE_HTTP:  # no collectstatic needed
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    WHITENOISE_USE_FINDERS = True
    STATIC_ROOT = None

# --- recording ------------------------------------------------------------------------------------
SEGMENT_SECONDS = env.float("SEGMENT_SECONDS", 10.0, validate=validate.Range(1, 600))
RECONNECT_GRACE_SECONDS = env.float(
    "RECONNECT_GRACE_SECONDS", 10.0, validate=validate.Range(0, 3600)
)
JOURNAL_FSYNC_SECONDS = env.float("JOURNAL_FSYNC_SECONDS", 1.0, validate=validate.Range(0.05, 60))
SEALER_IS_A_PROCESS = True  # a thread in tests, to use the test database
RECORDER_STARTS_AT_IMPORT = True  # of acsmedia.asgi; tests start it with the first connection

# Alarm thresholds (streams/live/alarm_rules.py) in seconds, or in dBFS rms over 100 ms.
ALARM_NO_AUDIO_SECONDS = env.float(
    "ALARM_NO_AUDIO_SECONDS", 10.0, validate=validate.Range(1, 86_400)
)
ALARM_DEAD_AIR_SECONDS = env.float(
    "ALARM_DEAD_AIR_SECONDS", 20.0, validate=validate.Range(1, 86_400)
)
ALARM_ONE_WAY_SECONDS = env.float("ALARM_ONE_WAY_SECONDS", 20.0, validate=validate.Range(1, 86_400))
ALARM_SILENCE_DBFS = env.float("ALARM_SILENCE_DBFS", -50.0, validate=validate.Range(-96, 0))
ALARM_LOW_DBFS = env.float("ALARM_LOW_DBFS", -40.0, validate=validate.Range(-96, 0))

ACS_AUTH = env.str("ACS_AUTH", "jwt", validate=validate.OneOf(["jwt", "token", "off"]))
ACS_RESOURCE_ID = env.str("ACS_RESOURCE_ID", "")
ACS_JWKS_URL = env.str(
    "ACS_JWKS_URL", "https://acscallautomation.communication.azure.com/calling/keys"
)
ACS_STREAM_TOKEN = env.str("ACS_STREAM_TOKEN", "")
ACS_STREAM_TOKEN_PREVIOUS = env.str("ACS_STREAM_TOKEN_PREVIOUS", "")  # accepted, too

# --- monitoring and limits ------------------------------------------------------------------------
# the bearer token of Prometheus; if empty, only this host may read /metrics
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
# below this /readyz fails; below half of it new calls are refused
MIN_FREE_DISK_MB = env.int("MIN_FREE_DISK_MB", 512, validate=validate.Range(0))
# maximum size of all journals; 0: limited only by the disk
SPOOL_LIMIT_GB = env.float("SPOOL_LIMIT_GB", 0.0, validate=validate.Range(0))

# --- REST -----------------------------------------------------------------------------------------
_RATE = validate.Regexp(r"^\d+/(s|sec|min|hour|day)$", error="use a rate such as 60/min.")
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["calls.permissions.MaySee"],
    "DEFAULT_PARSER_CLASSES": ["calls.http.json_body.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "calls.http.errors.exception_handler",
    "DEFAULT_THROTTLE_CLASSES": [
        "calls.api.throttles.AnonymousThrottle",
        "calls.api.throttles.UserThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("REST_RATE_ANONYMOUS", "60/min", validate=_RATE),
        "user": env.str("REST_RATE_USER", "1200/min", validate=_RATE),
    },
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "acsmedia",
    "DESCRIPTION": "Recordings of Azure Communication Services calls: find calls, read their "
    "details, download their audio.",
    "VERSION": "1",
    "SERVERS": [{"url": FORCE_SCRIPT_NAME}] if FORCE_SCRIPT_NAME else [],
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_PATCH": False,  # a body of PATCH has all members, too
    "SERVE_PERMISSIONS": ["calls.permissions.MaySee"],
    "SERVE_AUTHENTICATION": None,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- login lock-out after failed attempts (calls/lockout.py) --------------------------------------
AXES_FAILURE_LIMIT = env.int("LOGIN_FAILURES", 10, validate=validate.Range(1, 1000))
AXES_COOLOFF_TIME = timedelta(
    minutes=env.float("LOGIN_LOCKED_MINUTES", 15.0, validate=validate.Range(0.1, 1440))
)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # no other address can lock out a user
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "calls.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "calls.lockout.refusal"
AXES_DISABLE_ACCESS_LOG = True  # logins are not recorded, for privacy
AXES_VERBOSE = False

# --- security -------------------------------------------------------------------------------------
# Networks of proxies whose X-Forwarded-For is believed; nobody's without it.
_proxies: list[str] = env.list("TRUSTED_PROXIES", default=[], validate=each_network)
TRUSTED_PROXIES = [ip_network(network, strict=False) for network in _proxies]
# TLS ends at nginx or a load balancer, which sets X-Forwarded-Proto.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not INSECURE_HTTP)
# requested inside the network without TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else env.int("SECURE_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = not INSECURE_HTTP
CSRF_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "media-src": [SELF, "blob:"],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}

# --- logs -----------------------------------------------------------------------------------------
# One JSON object per line (plain text with INSECURE_HTTP). Lines identify calls by acsmedia's UUIDs
# and never contain phone numbers, names of participants, tokens or payloads. A refused request
# names the user and the address.
LOG_LEVEL = env.str(
    "LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "acsmedia.logs.formatter", "readable": INSECURE_HTTP}},
    "filters": {
        "refused": {"()": "acsmedia.logs.RefusedRequests"},
        "probes": {"()": "acsmedia.logs.FailedProbes"},
        "downloads": {"()": "acsmedia.logs.EndedDownloads"},
        "layer": {"()": "calls.live.channel.WithoutLayerErrors"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "structured",
            "filters": ["refused", "probes", "downloads", "layer"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Request lines would contain the query string of the media socket, and so the stream token.
        "daphne": {"level": "WARNING"},
        "uvicorn": {"level": "WARNING", "propagate": True},
        "uvicorn.access": {"level": "WARNING", "propagate": True},
        "uvicorn.error": {"level": "WARNING"},
        # failed logins and lock-outs, with names and addresses masked; the admin shows them
        "axes": {"level": "WARNING"},
        # its lines contain client addresses; the close code shows a client's error
        "picows": {"level": "CRITICAL"},
        # it logs every failed attempt to connect; database_watch and the sealer log outages once
        "psycopg.pool": {"level": "ERROR"},
    },
}
