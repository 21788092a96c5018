from shared_lib.jobs import celery_app

app = celery_app(
    "config.settings",
    beat={
        "release-expired-reservations": ("catalog.tasks.release_expired_reservations", 60.0),
        "count-sales": ("catalog.tasks.count_sales", 60.0),
    },
)
