wsgi_app = "service:application"
workers = 2
bind = "127.0.0.1:8000"
