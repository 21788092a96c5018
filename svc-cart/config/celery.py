from shared_lib.jobs import celery_app

app = celery_app("config.settings", beat={"expire-guest-carts": ("cart.tasks.expire_guest_carts", 3600.0)})
