// A page of Node's whose cost is set by the environment: CPU_MS and WAIT_MS as of ../flask. It is one
// process; the cluster is made around it.
const http = require('node:http');

const cpu = Number(process.env.CPU_MS || 0);
const wait = Number(process.env.WAIT_MS || 0);

http.createServer((request, response) => {
  const answer = () => response.end('ok\n');
  const began = process.cpuUsage();
  let used = 0;
  let x = 1;
  while (used < cpu * 1000) {
    for (let i = 0; i < 50; i++) x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff;
    const u = process.cpuUsage(began);
    used = u.user + u.system;
  }
  if (wait > 0) setTimeout(answer, -Math.log(1 - Math.random()) * wait);
  else answer();
}).listen(Number(process.env.PORT || 3000), process.env.HOST || '127.0.0.1');
