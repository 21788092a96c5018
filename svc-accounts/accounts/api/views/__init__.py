from accounts.api.views.addresses import AddressesView, AddressView
from accounts.api.views.keys import jwks
from accounts.api.views.passwords import PasswordChangeView, PasswordForgotView, PasswordResetView
from accounts.api.views.profile import EmailVerifyResendView, EmailVerifyView, MeView, RegisterView
from accounts.api.views.sessions import SessionsView, SessionView
from accounts.api.views.tokens import TokenRefreshView, TokenRevokeView, TokenView

__all__ = [
    "AddressView",
    "AddressesView",
    "EmailVerifyResendView",
    "EmailVerifyView",
    "MeView",
    "PasswordChangeView",
    "PasswordForgotView",
    "PasswordResetView",
    "RegisterView",
    "SessionView",
    "SessionsView",
    "TokenRefreshView",
    "TokenRevokeView",
    "TokenView",
    "jwks",
]
