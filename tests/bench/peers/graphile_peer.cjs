// graphile-worker on PostgreSQL: `enqueue N` by addJobs, `work N` by one runner with a local queue of 500 and settled
// jobs batched, as its documentation says for speed. Prints seconds; starting up is not counted.

const { makeWorkerUtils, run } = require('graphile-worker');
const { Pool } = require('pg');

const pgPool = new Pool({ host: process.env.PG_FOLDER, user: 'postgres', database: 'postgres', max: 10 });
pgPool.on('error', () => {});
pgPool.on('connect', (client) => client.on('error', () => {}));
const message = 'x'.repeat(250);
const payload = (n) => ({ to: `user${n}@example.org`, subject: 'subject', message });
const BULK = 1000;

async function enqueue(utils, count) {
  for (let first = 0; first < count; first += BULK) {
    const length = Math.min(BULK, count - first);
    await utils.addJobs(Array.from({ length }, (_, n) => ({ identifier: 'nothing', payload: payload(first + n) })));
  }
}

// From the start of the runner until the last job is settled.
async function work(count) {
  await pgPool.query('VACUUM ANALYZE graphile_worker._private_jobs');
  let done = 0;
  let finish;
  const all = new Promise((resolve) => (finish = resolve));
  const begun = performance.now();
  const runner = await run({
    pgPool,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { nothing: async () => void (++done === count && finish()) },
    preset: {
      worker: {
        concurrentJobs: Number(process.env.CONCURRENCY ?? 10),
        localQueue: { size: 500 },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
        logger: new (require('graphile-worker').Logger)(() => () => {}),
      },
    },
  });
  await all;
  await runner.stop();
  const took = performance.now() - begun;
  const { rows } = await pgPool.query('SELECT count(*)::int AS left FROM graphile_worker._private_jobs');
  if (rows[0].left !== 0) throw new Error(`${rows[0].left} are not settled`);
  return took;
}

async function main([what, count]) {
  const utils = await makeWorkerUtils({ pgPool });
  await utils.migrate();
  await pgPool.query('TRUNCATE graphile_worker._private_jobs');
  const begun = performance.now();
  await enqueue(utils, Number(count));
  let took = performance.now() - begun;
  if (what === 'work') took = await work(Number(count));
  console.log(took / 1000);
  await utils.release();
  await pgPool.end();
}

main(process.argv.slice(2));
