// Writes the lines of a file to a stream with the AWS SDK for JavaScript. Refused records are not sent again.
//
// usage: node with_aws_sdk.mjs FILE STREAM
import { KinesisClient, PutRecordsCommand } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { Agent } from "node:http";
import { createInterface } from "node:readline";

const [file, stream] = process.argv.slice(2);
// More requests at the same time make it no faster: its only thread is busy.
const AT_ONCE = 8;
// The local account speaks HTTP/1.1 only.
const requestHandler = new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: AT_ONCE }) });
const client = new KinesisClient({ endpoint: process.env.AWS_ENDPOINT_URL, requestHandler, maxAttempts: 1 });
const encoder = new TextEncoder();
const counts = { accepted: 0, refused: 0 };

async function send(Records) {
  const answer = await client.send(new PutRecordsCommand({ StreamName: stream, Records }));
  counts.accepted += Records.length - answer.FailedRecordCount;
  counts.refused += answer.FailedRecordCount;
}

const sending = new Set();
let batch = [], bytes = 0;

async function flush() {
  const sent = send(batch).finally(() => sending.delete(sent));
  sending.add(sent);
  [batch, bytes] = [[], 0];
  if (sending.size >= AT_ONCE) await Promise.race(sending);
}

for await (const line of createInterface({ input: createReadStream(file) })) {
  const Data = encoder.encode(line);
  if (batch.length === 500 || bytes + Data.length + 36 > 5 * 1024 * 1024) await flush();
  batch.push({ Data, PartitionKey: randomUUID() });
  bytes += Data.length + 36;
}
if (batch.length > 0) await flush();
await Promise.all(sending);
console.log(JSON.stringify(counts));
