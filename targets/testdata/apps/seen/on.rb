threads 2, 2
preload_app!
