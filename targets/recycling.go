package targets

// Recycling names the setting by which a server replaces a worker after so many requests, for a server
// whose memory grows; empty where it has none that counts requests. It is by the name of the adapter.
//
// Puma, unicorn, Node and waitress have none of their own; granian's is a lifetime in seconds. Apache
// counts connections, and a kept one carries several requests.
func Recycling(adapter string) string {
	return map[string]string{
		gunicorn{}.Name():  "--max-requests",
		uvicorn{}.Name():   "--limit-max-requests",
		hypercorn{}.Name(): "--max-requests",
		uwsgi{}.Name():     "max-requests",
		phpfpm{}.Name():    "pm.max_requests",
		apache{}.Name():    "MaxConnectionsPerChild",
	}[adapter]
}
