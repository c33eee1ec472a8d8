// Express before BullMQ: a notification is answered once Redis has the job.

const express = require('express');
const { Queue } = require('bullmq');

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const queue = new Queue('ingest', { connection });
const app = express();
app.use(express.json());

app.post('/v1/notifications', async (request, response) => {
  const { channel, to, subject, message } = request.body;
  if (typeof to !== 'string' || typeof message !== 'string') return response.status(422).end();
  const job = await queue.add('notify', { channel, to, subject, message }, { removeOnComplete: true });
  response.status(202).json({ id: job.id, status_url: `/v1/notifications/${job.id}`, created: true });
});

app.get('/healthz', (request, response) => response.send('ok'));

queue.waitUntilReady().then(() => app.listen(Number(process.env.PORT), '127.0.0.1'));
