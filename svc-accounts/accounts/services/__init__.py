"""Every write of svc-accounts: one transaction each, with the events it publishes inside."""

from accounts.services.addresses import add_address, change_address, remove_address
from accounts.services.demo import DEMO_USERS, CannotSeed, seed_demo_users
from accounts.services.links import create_one_time_link
from accounts.services.passwords import change_password, request_password_reset, reset_password
from accounts.services.revocations import copy_revocation, forget_expired, repair_deny_list, schedule_copy
from accounts.services.sessions import TokenPair, end_session, refresh, sign_in, sign_out
from accounts.services.users import (
    deactivate_user,
    register,
    request_verification,
    update_profile,
    verify_email,
)

__all__ = [
    "DEMO_USERS",
    "CannotSeed",
    "TokenPair",
    "add_address",
    "change_address",
    "change_password",
    "copy_revocation",
    "create_one_time_link",
    "deactivate_user",
    "end_session",
    "forget_expired",
    "refresh",
    "register",
    "remove_address",
    "repair_deny_list",
    "request_password_reset",
    "request_verification",
    "reset_password",
    "schedule_copy",
    "seed_demo_users",
    "sign_in",
    "sign_out",
    "update_profile",
    "verify_email",
]
