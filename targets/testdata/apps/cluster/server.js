// A page of ../node in a cluster with a master of its own, which takes its count from WEB_CONCURRENCY.
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  const count = Number(process.env.WEB_CONCURRENCY || 1);
  for (let i = 0; i < count; i++) cluster.fork();
  process.on('SIGTERM', () => process.exit(0));
} else {
  require('../node/server.js');
}
