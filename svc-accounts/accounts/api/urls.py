from django.urls import path

from accounts.api import internal, views

urlpatterns = [
    path("accounts/register", views.RegisterView.as_view()),
    path("accounts/token", views.TokenView.as_view()),
    path("accounts/token/refresh", views.TokenRefreshView.as_view()),
    path("accounts/token/revoke", views.TokenRevokeView.as_view()),
    path("accounts/email/verify", views.EmailVerifyView.as_view()),
    path("accounts/email/verify/resend", views.EmailVerifyResendView.as_view()),
    path("accounts/password/forgot", views.PasswordForgotView.as_view()),
    path("accounts/password/reset", views.PasswordResetView.as_view()),
    path("accounts/password/change", views.PasswordChangeView.as_view()),
    path("accounts/me", views.MeView.as_view()),
    path("accounts/me/sessions", views.SessionsView.as_view()),
    path("accounts/me/sessions/<uuid:session_id>", views.SessionView.as_view()),
    path("accounts/me/addresses", views.AddressesView.as_view()),
    path("accounts/me/addresses/<uuid:address_id>", views.AddressView.as_view()),
]

internal_urlpatterns = [
    path("users/<uuid:user_id>", internal.UserView.as_view()),
    path("users/<uuid:user_id>/addresses/<uuid:address_id>", internal.UserAddressView.as_view()),
    path("one-time-links", internal.OneTimeLinksView.as_view()),
]
