workers 7
threads 2, 2
bind "tcp://127.0.0.1:1"
port 1
pidfile "/nowhere/pid"
state_path "/nowhere/state"
