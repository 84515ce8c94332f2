worker_processes 7
listen "127.0.0.1:1"
listen "/nowhere/socket"
preload_app true
