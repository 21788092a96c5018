"""What clients send and get."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from rest_framework import serializers

from accounts.models import Address, Language, Role, Session, canonical_email
from shared_lib.api.serializers import AddressSerializer

MAX_PASSWORD_LENGTH = 256


class CanonicalEmailField(serializers.EmailField):
    """An e-mail address, as it is stored and compared: lower case, the domain in ASCII."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            email = canonical_email(text)
            validate_email(email)
        except (ValueError, ValidationError):
            self.fail("invalid")
        return email


class PasswordField(serializers.CharField):
    """Taken as it is, blanks included."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_PASSWORD_LENGTH, trim_whitespace=False, write_only=True, **kwargs)


class RegistrationSerializer(serializers.Serializer[Any]):
    email = CanonicalEmailField()
    password = PasswordField(
        help_text="At least 8 characters, not a common one, not only digits, not like name or e-mail."
    )
    name = serializers.CharField(max_length=200)


class RegisteredSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField()
    status = serializers.ChoiceField(choices=["pending_verification"])


class CredentialsSerializer(serializers.Serializer[Any]):
    email = CanonicalEmailField()
    password = PasswordField()


class CookieQuerySerializer(serializers.Serializer[Any]):
    cookie = serializers.BooleanField(
        default=False,
        help_text="`true`: the refresh token comes as an HttpOnly, SameSite=Strict cookie and not in the body.",
    )


class RefreshTokenSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(
        required=False,
        max_length=512,
        help_text="May be left out when the cookie is sent. The body wins over the cookie.",
    )


class TokenPairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField()
    refresh = serializers.CharField(required=False, help_text="Missing when it comes as a cookie.")
    token_type = serializers.ChoiceField(choices=["Bearer"])
    expires_in = serializers.IntegerField(help_text="Life of the access token in seconds.")


class ProfileSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(read_only=True)
    email = serializers.EmailField(read_only=True)
    email_verified = serializers.BooleanField(read_only=True)
    name = serializers.CharField(max_length=200)
    language = serializers.ChoiceField(choices=Language.choices)
    roles = serializers.ListField(child=serializers.ChoiceField(choices=Role.choices), read_only=True)
    created_at = serializers.DateTimeField(read_only=True)


class AddressBookEntrySerializer(AddressSerializer):
    """A postal address in the address book. The first one becomes the default; making another the default moves it."""

    id = serializers.UUIDField(read_only=True)
    is_default = serializers.BooleanField(required=False)
    created_at = serializers.DateTimeField(read_only=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Optional parts that are null or blank are stored blank."""
        fields: dict[str, Any] = super().to_internal_value(data)
        return {name: "" if value is None else value for name, value in fields.items()}

    def to_representation(self, instance: Address) -> dict[str, Any]:
        """Blank optional parts are null."""
        return {
            name: value if value != "" else None
            for name, value in super().to_representation(instance).items()
        }


class SessionSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    device = serializers.CharField(
        source="user_agent", help_text="As the client named itself at sign-in (`User-Agent`)."
    )
    current = serializers.SerializerMethodField(help_text="Whether this is the session of the request.")
    created_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField(help_text="The last sign-in or refresh.")

    def get_current(self, session: Session) -> bool:
        return bool(session.pk == self.context["session_id"])


class EmailSerializer(serializers.Serializer[Any]):
    email = CanonicalEmailField()


class LinkTokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, write_only=True, help_text="From the link in the mail.")


class PasswordResetSerializer(LinkTokenSerializer):
    password = PasswordField()


class PasswordChangeSerializer(serializers.Serializer[Any]):
    old_password = PasswordField()
    new_password = PasswordField()
