from shared_lib.jobs import celery_app

app = celery_app(
    "config.settings",
    beat={
        "repair-deny-list": ("accounts.tasks.repair_deny_list", 5.0),
        "forget-expired": ("accounts.tasks.forget_expired", 60.0),
    },
)
