"""Every write of svc-notifications: `inbox` for what users see, `emails` for the jobs that reach them by mail."""

from notifications.services.emails import send_due_emails
from notifications.services.inbox import erase_user, mark_all_read, mark_read, notify, remind_of_cart

__all__ = ["erase_user", "mark_all_read", "mark_read", "notify", "remind_of_cart", "send_due_emails"]
