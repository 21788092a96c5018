from shared_lib.jobs import celery_app

app = celery_app(
    "config.settings",
    beat={
        "expire-guest-carts": ("cart.tasks.expire_guest_carts", 3600.0),
        "forget-closed-orders": ("cart.tasks.forget_closed_orders", 3600.0),
        "publish-abandoned-carts": ("cart.tasks.publish_abandoned_carts", 300.0),
        "refresh-coupon-categories": ("cart.tasks.refresh_coupon_categories", 600.0),
    },
)
