from django.urls import path

from accounts.api.views import jwks
from shared_lib.api.urls import handler400, handler403, handler404, handler500, service_urls

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [path(".well-known/jwks.json", jwks), *service_urls("accounts.api.urls")]
