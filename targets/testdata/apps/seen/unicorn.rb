preload_app true
