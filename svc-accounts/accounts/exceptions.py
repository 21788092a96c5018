"""What can go wrong in this domain, each with its stable code."""

from __future__ import annotations

from shared_lib.exceptions import DomainError


class NotAuthenticated(DomainError):
    """401. The base of all refusals of somebody who wants to be signed in."""

    status = 401
    code = "unauthorized"
    title = "Authentication is needed"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class InvalidCredentials(NotAuthenticated):
    """Unknown address, wrong password or deactivated account: they are not told apart."""

    code = "invalid_credentials"
    title = "The e-mail address or the password is wrong"


class RefreshInvalid(NotAuthenticated):
    """The refresh token was never issued, has expired, or its session has ended."""

    code = "refresh_invalid"
    title = "This session has ended; please sign in again"


class RefreshReused(NotAuthenticated):
    """A spent refresh token came back after its grace: somebody else may hold a copy, so the session has ended."""

    code = "refresh_reused"
    title = "This refresh token was used before; the session has ended for safety"


class LinkInvalid(DomainError):
    """The token of a link was never issued, has expired or was used."""

    status = 422
    code = "link_invalid"
    title = "This link is not valid any more"


class LinkUsed(LinkInvalid):
    """It was used before. The client is not told more than of any other invalid link."""


class AddressBookFull(DomainError):
    code = "address_book_full"
    title = "The address book is full"


class UnacceptablePassword(DomainError):
    """A new password that the rules refuse. `errors` has one entry for each broken rule."""

    status = 422
    code = "validation_failed"
    title = "The request is not valid"

    def __init__(self, field: str, reasons: list[tuple[str, str]]) -> None:
        errors = [{"field": field, "code": code, "detail": detail} for code, detail in reasons]
        super().__init__(" ".join(detail for _, detail in reasons), errors=errors)
