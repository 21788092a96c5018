from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from shared_lib.observability import expose

        # Every other process of the service would tell zeros.
        if expose.process() == "web":
            from orders.measures import measure

            expose.before_scrape(measure)
