"""How a service's processes start. `python -m shared_lib.server web|events|worker` is the only command line there is."""

from shared_lib.server.entry import die_with_parent, manage, spare_collector, wsgi_application

__all__ = ["die_with_parent", "manage", "spare_collector", "wsgi_application"]
