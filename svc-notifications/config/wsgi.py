from shared_lib.server import wsgi_application

application = wsgi_application("config.settings")
