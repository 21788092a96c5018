from celery.schedules import crontab

from shared_lib.jobs import celery_app

app = celery_app(
    "config.settings",
    beat={
        "process-due-webhook-events": ("payments.tasks.process_due_webhook_events", 5.0),
        "reconcile-open-attempts": ("payments.tasks.reconcile_open_attempts", 5.0),
        "send-due-refunds": ("payments.tasks.send_due_refunds", 5.0),
        "compare-with-providers": ("payments.tasks.compare_with_providers", crontab(minute="41")),
        "delete-settled-webhook-events": (
            "payments.tasks.delete_settled_webhook_events",
            crontab(minute="27"),
        ),
    },
)
