"""Every setting of this installation, read from the environment (.env.example lists them) with safe defaults.

Nothing is started here: of the embedded stores only the addresses are computed.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from limitly_site import environment
from limitly_site.desk import UNFOLD  # noqa: F401  # read by the theme
from limitly_site.stores import embedded_stores

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Where things are -------------------------------------------------------------------------------------------
LIMITLY_DATA_DIR = Path(environment.text("LIMITLY_DATA_DIR", str(BASE_DIR / ".data"))).resolve()
EMBEDDED_STORES = embedded_stores(LIMITLY_DATA_DIR)
DATABASE_URL = environment.text("DATABASE_URL")
USES_EMBEDDED_POSTGRES = not DATABASE_URL
USES_EMBEDDED_VALKEY = not environment.text("REDIS_URL")
REDIS_URL = environment.text("REDIS_URL") or EMBEDDED_STORES.redis_url
# kombu has its own word for a Unix socket, and its own for the database number.
CELERY_BROKER_URL = environment.text("CELERY_BROKER_URL") or REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)

# --- Security ---------------------------------------------------------------------------------------------------
SECRET_KEY = environment.secret_key("LIMITLY_SECRET_KEY", LIMITLY_DATA_DIR / "secret_key")
DEBUG = environment.flag("LIMITLY_DEBUG")
ALLOWED_HOSTS = environment.words("LIMITLY_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = environment.words("LIMITLY_TRUSTED_ORIGINS")
LIMITLY_HTTPS = environment.flag("LIMITLY_HTTPS")
SECURE_SSL_REDIRECT = LIMITLY_HTTPS
# The API never redirects: a client would send its access key again, and a POST as a GET, or give up.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^(functions/)?v1/"]
SECURE_HSTS_SECONDS = 31_536_000 if LIMITLY_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = LIMITLY_HTTPS
LIMITLY_BEHIND_PROXY = environment.flag("LIMITLY_BEHIND_PROXY")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if LIMITLY_BEHIND_PROXY else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LIMITLY_HTTPS
# A session of staff ends after so long without a page, and in any case after LIMITLY_SESSION_HOURS.
SESSION_COOKIE_AGE = 60 * environment.integer("LIMITLY_SESSION_IDLE_MINUTES", 120, at_least=2, at_most=10_080)
LIMITLY_SESSION_HOURS = environment.integer("LIMITLY_SESSION_HOURS", 12, at_least=1, at_most=720)
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"
X_FRAME_OPTIONS = "DENY"
# Ten wrong passwords for one name from one address: fifteen minutes' pause for the two together.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "accounts.api.addresses.address_of"
AXES_SENSITIVE_PARAMETERS = ["username", "password", "code"]
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # `manage.py axes_reset` lets somebody in again at once
# Staff without a second factor are led to set one up before anything else.
LIMITLY_REQUIRE_SECOND_FACTOR = environment.flag("LIMITLY_REQUIRE_SECOND_FACTOR")
OTP_TOTP_ISSUER = "Limitly"
# The theme evaluates expressions of its own templates (Alpine) and styles by attributes: no inline script runs.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "object-src": [NONE],
    }
}

# --- The project ------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "axes",
    "csp",
    "limitly_site",
    "accounts",
    "plans",
    "keys",
    "analytics",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "limitly_site.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.desk.sessions.StaffSessions",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "accounts.desk.zones.reader_zone",
    "axes.middleware.AxesMiddleware",  # the last: it answers whoever is locked out
]
ROOT_URLCONF = "limitly_site.urls"
ASGI_APPLICATION = "limitly_site.asgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "accounts.Staff"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "admin:login"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
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
            ]
        },
    }
]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
STATIC_URL = "/static/"
# Static files are served from the installed packages themselves: no collectstatic step stands between clone and admin.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

# --- Database ---------------------------------------------------------------------------------------------------
# What a web process keeps: connections of Django's, and of decisions that must look something up.
LIMITLY_WEB_POOL = environment.integer("LIMITLY_WEB_POOL", 8, at_least=1, at_most=100)
LIMITLY_FILL_CONNECTIONS = 2
LIMITLY_POOL_WAIT_S = 5


def _database() -> dict[str, Any]:
    """Django's DATABASES["default"], from DATABASE_URL or of the embedded PostgreSQL."""
    options: dict[str, Any] = {}
    if environment.flag(environment.IS_WEB_PROCESS):  # workers and commands keep one connection each
        options["pool"] = {"min_size": 1, "max_size": LIMITLY_WEB_POOL, "timeout": LIMITLY_POOL_WAIT_S}
    common = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": options, "TEST": {"SERIALIZE": False}}
    if not DATABASE_URL:
        stores = EMBEDDED_STORES
        return common | {"NAME": "limitly", "USER": "limitly", "HOST": str(stores.socket_dir), "PORT": "5432"}
    url = urlsplit(DATABASE_URL)
    options |= dict(parse_qsl(url.query))
    return common | {
        "NAME": unquote(url.path.lstrip("/")),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(url.port or ""),
    }


DATABASES = {"default": _database()}

# --- Decisions and their ledger ---------------------------------------------------------------------------------
# Undrained events a bucket holds before validate answers 503 rather than fill Redis's memory (about 100 bytes each).
LIMITLY_STREAM_MAX = environment.integer("LIMITLY_STREAM_MAX", 5_000_000, at_least=1_000, at_most=1_000_000_000)
LIMITLY_DECISION_DAYS = environment.integer("LIMITLY_DECISION_DAYS", 35, at_least=2, at_most=3_650)
LIMITLY_REQUESTS_PER_MINUTE = environment.integer(
    "LIMITLY_REQUESTS_PER_MINUTE", 1_000, at_least=1, at_most=1_000_000_000
)
LIMITLY_ANALYTICS_REQUESTS_PER_MINUTE = environment.integer(
    "LIMITLY_ANALYTICS_REQUESTS_PER_MINUTE", 100, at_least=1, at_most=1_000_000_000
)
LIMITLY_READY_LAG_S = environment.integer("LIMITLY_READY_LAG_S", 60, at_least=5, at_most=86_400)
# 0: however late decisions are shown as request logs and traffic, that alone makes nothing unready.
LIMITLY_READY_FOLD_LAG_S = environment.integer("LIMITLY_READY_FOLD_LAG_S", 0, at_least=0, at_most=86_400)

# --- Apps that are observed -------------------------------------------------------------------------------------
# Seconds between reports that SDKs are asked for (they take 5 to 60).
LIMITLY_EXPORT_INTERVAL_S = environment.integer("LIMITLY_EXPORT_INTERVAL_S", 15, at_least=5, at_most=60)
# Bytes of accepted reports that wait to be counted before new ones are refused with 503.
LIMITLY_INGEST_BACKLOG_BYTES = environment.integer(
    "LIMITLY_INGEST_BACKLOG_BYTES", 2 * 1024**3, at_least=1_048_576, at_most=1024**4
)
LIMITLY_INGEST_CONNECTIONS = 2
LIMITLY_FOLD_DECISIONS = environment.flag("LIMITLY_FOLD_DECISIONS", default=True)
# Decisions a second from which on folding them waits, a minute at most, and leaves the processors to validate.
LIMITLY_FOLD_GIVES_WAY_AT = environment.integer("LIMITLY_FOLD_GIVES_WAY_AT", 2_000, at_least=1, at_most=1_000_000)
LIMITLY_REQUEST_LOG_DAYS = environment.integer("LIMITLY_REQUEST_LOG_DAYS", 15, at_least=3, at_most=3_650)
LIMITLY_TRAFFIC_MINUTE_DAYS = environment.integer("LIMITLY_TRAFFIC_MINUTE_DAYS", 32, at_least=3, at_most=3_650)
LIMITLY_TRAFFIC_MONTHS = environment.integer("LIMITLY_TRAFFIC_MONTHS", 13, at_least=2, at_most=240)
LIMITLY_APP_ENVIRONMENTS_MAX = environment.integer("LIMITLY_APP_ENVIRONMENTS_MAX", 50, at_least=1, at_most=10_000)
LIMITLY_APP_ENDPOINTS_MAX = environment.integer("LIMITLY_APP_ENDPOINTS_MAX", 1_000, at_least=10, at_most=100_000)
LIMITLY_APP_CONSUMERS_MAX = environment.integer("LIMITLY_APP_CONSUMERS_MAX", 100_000, at_least=10, at_most=10_000_000)
# A MaxMind database of countries (.mmdb), read for the client's country; empty = none is told.
LIMITLY_COUNTRY_DATABASE = environment.text("LIMITLY_COUNTRY_DATABASE")

# --- The web process --------------------------------------------------------------------------------------------
LIMITLY_WEB = environment.choice("LIMITLY_WEB", "all", ("all", "hot", "site"))
LIMITLY_WEB_PROCESSES = environment.integer("LIMITLY_WEB_PROCESSES", 1, at_least=1, at_most=64)
LIMITLY_WORKERS = environment.integer("LIMITLY_WORKERS", 2, at_least=1, at_most=64)
LIMITLY_REPORT_WORKERS = environment.integer("LIMITLY_REPORT_WORKERS", 1, at_least=1, at_most=64)
LIMITLY_DJANGO_CONCURRENCY = environment.integer("LIMITLY_DJANGO_CONCURRENCY", 8, at_least=1, at_most=64)
# Exports that are streamed at once, by one access key at most half of them; each takes a slot only while it reads.
LIMITLY_EXPORTS_AT_ONCE = environment.integer("LIMITLY_EXPORTS_AT_ONCE", 4, at_least=1, at_most=64)
# Bodies larger than this are refused outside validate (contract: 1 MiB).
LIMITLY_BODY_MAX_BYTES = 1_048_576
DATA_UPLOAD_MAX_MEMORY_SIZE = LIMITLY_BODY_MAX_BYTES

# --- Celery -----------------------------------------------------------------------------------------------------
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "celery"
CELERY_TASK_ROUTES = {
    "keys.tasks.drain_events": {"queue": "ledger"},
    "analytics.tasks.ingest_reports": {"queue": "reports"},
    "analytics.tasks.prune_analytics": {"queue": "reports"},
    "analytics.tasks.fold_decisions": {"queue": "folding"},
}
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULER = "limitly_site.celery:PatientScheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(LIMITLY_DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "drain_events": {"task": "keys.tasks.drain_events", "schedule": 1.0, "options": {"expires": 5}},
    "resend_invalidations": {
        "task": "keys.tasks.resend_invalidations",
        "schedule": 2.0,
        "options": {"expires": 5},
    },
    "make_partitions": {
        "task": "keys.tasks.make_partitions",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "prune_decisions": {
        "task": "keys.tasks.prune_decisions",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "watch_limits": {"task": "keys.tasks.watch_limits", "schedule": 60.0, "options": {"expires": 60}},
    "ingest_reports": {"task": "analytics.tasks.ingest_reports", "schedule": 1.0, "options": {"expires": 5}},
    "make_partitions_of_analytics": {
        "task": "analytics.tasks.make_partitions",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "prune_analytics": {
        "task": "analytics.tasks.prune_analytics",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "fold_decisions": {"task": "analytics.tasks.fold_decisions", "schedule": 2.0, "options": {"expires": 5}},
    "judge_sources": {"task": "analytics.tasks.judge_sources", "schedule": 60.0, "options": {"expires": 60}},
}

# --- The REST API -----------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.AccessKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.api.authentication.HasAccessKey"],
    "DEFAULT_PARSER_CLASSES": ["limitly_site.dialects.DialectParser"],
    "DEFAULT_RENDERER_CLASSES": ["limitly_site.dialects.DialectRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "limitly_site.dialects.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "accounts.api.errors.answer_exception",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Limitly API",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/v1/",
    "PREPROCESSING_HOOKS": ["keys.api.openapi.only_documented"],
    "POSTPROCESSING_HOOKS": ["keys.api.openapi.complete"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # what it would guess, keys.api.openapi says; tests hold the document to it
    "AUTHENTICATION_WHITELIST": [],  # the document names the credentials itself
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": f"{STATIC_URL}limitly/icon.svg",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "defaultModelsExpandDepth": -1},
}

# --- Logs -------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # A caller's mistake is the caller's to read; our failures are logged as errors.
    "loggers": {"django.request": {"level": "ERROR"}, "axes": {"level": "WARNING"}},
    "root": {"handlers": ["stderr"], "level": environment.choice("LIMITLY_LOG_LEVEL", "INFO", environment.LOG_LEVELS)},
}
