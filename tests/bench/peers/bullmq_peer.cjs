// BullMQ: `add`, `enqueue N` by addBulk, `work N` by one worker. Prints seconds; starting up is not counted.

const { Queue, Worker } = require('bullmq');
const Redis = require('ioredis');

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const message = 'x'.repeat(250);
const data = (n) => ({ to: `user${n}@example.org`, subject: 'subject', message });
// Settled jobs are removed: the least that it can write.
const opts = { removeOnComplete: true };
const BULK = 5000;

async function enqueue(queue, count) {
  for (let first = 0; first < count; first += BULK) {
    const length = Math.min(BULK, count - first);
    await queue.addBulk(Array.from({ length }, (_, n) => ({ name: 'nothing', data: data(first + n), opts })));
  }
}

// From the first job taken to the last one settled.
async function work(count) {
  const concurrency = Number(process.env.CONCURRENCY);
  const worker = new Worker('bench', async () => {}, { connection, concurrency, autorun: false });
  await worker.waitUntilReady();
  const begun = performance.now();
  const settled = new Promise((resolve) => {
    let done = 0;
    worker.on('completed', () => ++done === count && resolve());
  });
  worker.run();
  await settled;
  const took = performance.now() - begun;
  await worker.close();
  return took;
}

async function main([what, count]) {
  const queue = new Queue('bench', { connection });
  if (what === 'add') {
    await queue.add('nothing', data(0), opts);
    return queue.close();
  }
  await queue.waitUntilReady();
  const server = new Redis(connection);
  await server.flushall();
  const begun = performance.now();
  await enqueue(queue, Number(count));
  let took = performance.now() - begun;
  if (what === 'work') took = await work(Number(count));
  console.log(took / 1000);
  await queue.close();
  await server.quit();
}

main(process.argv.slice(2));
