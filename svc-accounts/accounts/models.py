"""Tables of svc-accounts.

The row of a user is the lock for everything that belongs to the user: sign-ins, the end of all sessions, the default
address. Whoever takes a session's lock as well takes the user's first.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from shared_lib.models import BaseModel, VersionedModel


class Role(models.TextChoices):
    CUSTOMER = "customer"
    SELLER = "seller"
    STAFF = "staff"
    ADMIN = "admin"


class Language(models.TextChoices):
    """Languages of messages and e-mails, by primary subtag."""

    ENGLISH = "en"
    GERMAN = "de"
    CHINESE = "zh", "中文"


def default_roles() -> list[str]:
    return [Role.CUSTOMER.value]


class UserManager(BaseUserManager["User"]):
    """What Django's own commands and back ends need; the shop writes users through `accounts.services`."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=canonical_email(username or ""))

    def create_superuser(self, *, email: str, name: str, password: str | None = None, **extra: Any) -> User:
        user = User(
            email=canonical_email(email),
            name=name,
            roles=[Role.CUSTOMER.value, Role.STAFF.value, Role.ADMIN.value],
            email_verified=True,
            **extra,
        )
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(VersionedModel, AbstractBaseUser):
    """A person. `version` grows with every change that another service may hold a copy of."""

    last_login = None  # Signing in to the shop makes a `Session`; Django's own field is not kept.
    email = models.CharField(max_length=254)
    name = models.CharField(max_length=200)
    language = models.CharField(max_length=8, choices=Language.choices, default=Language.ENGLISH)
    roles = ArrayField(models.CharField(max_length=16, choices=Role.choices), default=default_roles)
    is_active = models.BooleanField(default=True)
    email_verified = models.BooleanField(default=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["email"], name="user_email_unique"),
            # With the constraint above: unique whatever the case, on a plain index.
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_is_lower_case"),
            models.CheckConstraint(condition=Q(roles__contained_by=Role.values), name="user_roles_known"),
        ]

    def clean(self) -> None:
        self.email = canonical_email(self.email)

    @property
    def is_superuser(self) -> bool:
        return Role.ADMIN in self.roles

    @property
    def is_staff(self) -> bool:
        """May open the admin pages; `admin` includes `staff`."""
        return self.is_superuser or Role.STAFF in self.roles

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Staff may look at everything on the admin pages, only `admin` may change it."""
        if not self.is_active:
            return False
        return self.is_superuser or (self.is_staff and perm.partition(".")[2].startswith("view_"))

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_staff


class RevokeReason(models.TextChoices):
    SIGNED_OUT = "signed_out"
    REFRESH_REUSED = "refresh_reused"
    EMAIL_VERIFIED = "email_verified"
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    REMOVED_BY_USER = "removed_by_user"
    DEACTIVATED = "deactivated"


class Session(BaseModel):
    """One sign-in on one device; its id is the `sid` of the access tokens.

    Holds the hash of the one refresh token that is not spent, number `generation`. `spent_at[-1]` is when number
    `generation - 1` was spent, `spent_at[-2]` the one before, and so on; entries past the grace are dropped.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    refresh_hash = models.BinaryField(max_length=32)
    generation = models.PositiveIntegerField(default=0)
    spent_at = ArrayField(models.DateTimeField(), default=list)
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoke_reason = models.CharField(max_length=20, choices=RevokeReason.choices, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="session_expires_at")]
        constraints = [
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoke_reason="")
                | (Q(revoked_at__isnull=False) & ~Q(revoke_reason="")),
                name="session_revoked_with_reason",
            ),
        ]

    def is_alive(self, now: datetime) -> bool:
        return self.revoked_at is None and self.expires_at > now

    def revoke(self, now: datetime, reason: RevokeReason) -> None:
        """Ends the session in memory; raises `ValueError` when it has ended before. The caller holds the lock and saves."""
        if self.revoked_at is not None:
            raise ValueError(f"session {self.pk} has been revoked before")
        self.revoked_at = now
        self.revoke_reason = reason


class Revocation(BaseModel):
    """One entry of the deny list that the gateway reads: the truth of which Redis holds a copy.

    Either the tokens of `session_id`, or those of the user issued before `issued_before` (a whole second, as `iat` is).
    After `expires_at` all of them have expired by themselves.
    """

    user_id = models.UUIDField()
    session_id = models.UUIDField(null=True)
    issued_before = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="revocation_expires_at")]
        constraints = [
            models.CheckConstraint(
                condition=Q(session_id__isnull=True, issued_before__isnull=False)
                | Q(session_id__isnull=False, issued_before__isnull=True),
                name="revocation_of_session_or_user",
            ),
        ]


class LinkPurpose(models.TextChoices):
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"


class OneTimeToken(BaseModel):
    """The token of a link in a mail, kept as a hash. Using one uses up all of the user's with that purpose."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="one_time_tokens")
    purpose = models.CharField(max_length=16, choices=LinkPurpose.choices)
    token_hash = models.BinaryField(max_length=32)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], name="onetimetoken_expires_at")]
        constraints = [models.UniqueConstraint(fields=["token_hash"], name="onetimetoken_hash_unique")]


class Address(VersionedModel):
    """One entry of a user's address book. A book that is not empty has exactly one default."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="addresses")
    full_name = models.CharField(max_length=200)
    line1 = models.CharField(max_length=200)
    line2 = models.CharField(max_length=200, blank=True)
    city = models.CharField(max_length=200)
    region = models.CharField(max_length=200, blank=True)
    postal_code = models.CharField(max_length=20)
    country = models.CharField(max_length=2)
    phone = models.CharField(max_length=40, blank=True)
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(is_default=True), name="address_one_default"
            ),
            models.CheckConstraint(
                condition=Q(country__regex=r"^[A-Z]{2}$"), name="address_country_is_a_code"
            ),
        ]


def canonical_email(email: str) -> str:
    """How an address is stored and looked up: lower case, an international domain in its ASCII form.

    Raises `ValueError` for a domain that has no ASCII form.
    """
    local, at, domain = email.strip().rpartition("@")
    if not domain.isascii():
        domain = domain.encode("idna").decode("ascii")
    return f"{local}{at}{domain}".lower()
