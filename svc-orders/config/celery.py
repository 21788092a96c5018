from shared_lib.jobs import celery_app

app = celery_app(
    "config.settings",
    beat={
        "cancel-expired-orders": ("orders.tasks.cancel_expired_orders", 5.0),
        "settle-checkouts": ("orders.tasks.settle_checkouts", 5.0),
        "forget-checkouts": ("orders.tasks.forget_checkouts", 60.0),
        "send-due-refunds": ("orders.tasks.send_due_refunds", 10.0),
    },
)
