from email.utils import parseaddr
from urllib.parse import urlsplit

import dj_email_url  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured

from shared_lib.settings import env, service_settings

globals().update(service_settings("svc-notifications", apps=["notifications"]))

_url = env.url("SMTP_URL", secret=True, help="the mail server, like smtp://user:password@host:587/?tls=True")
_mail = dj_email_url.parse(_url)
if not (_mail.get("EMAIL_BACKEND", "").endswith("smtp.EmailBackend") and urlsplit(_url).hostname):
    raise ImproperlyConfigured('Environment variable "SMTP_URL" is not like smtp://host:port.')
globals().update({name: value for name, value in _mail.items() if name.startswith("EMAIL_")})
EMAIL_TIMEOUT = 10

EMAIL_FROM = env.str("EMAIL_FROM", help="whom mails are from")
if "@" not in parseaddr(EMAIL_FROM)[1]:
    raise ImproperlyConfigured('Environment variable "EMAIL_FROM" is not an e-mail address.')
