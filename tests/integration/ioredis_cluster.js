// ioredis as a client of a cluster: `node ioredis_cluster.js PORT`. Prints OK, or what went wrong.
"use strict";

const assert = require("assert");
const Redis = require("ioredis");

const port = Number(process.argv[2]);
const keys = Array.from({ length: 60 }, (_, number) => `key:${number}`);
const options = {
  clusterRetryStrategy: (times) => (times > 20 ? null : 100),
  redisOptions: { maxRetriesPerRequest: 5, connectTimeout: 5000 },
};

function connect(more = {}) {
  return new Redis.Cluster([{ host: "127.0.0.1", port }], { ...options, ...more });
}

async function plain() {
  const cluster = connect();
  await Promise.all(keys.map((key) => cluster.set(key, `value of ${key}`)));
  assert.deepStrictEqual(
    await Promise.all(keys.map((key) => cluster.get(key))),
    keys.map((key) => `value of ${key}`),
  );
  assert.strictEqual(cluster.nodes("master").length, 3);
  const sizes = await Promise.all(cluster.nodes("master").map((node) => node.dbsize()));
  assert.strictEqual(sizes.reduce((a, b) => a + b), keys.length);
  assert.deepStrictEqual(await cluster.mget("{t}a", "{t}b"), [null, null]);
  await assert.rejects(cluster.mget("a", "b"), /CROSSSLOT/);
  await cluster.hset("h", { a: 1, b: 2 });
  assert.deepStrictEqual(await cluster.hgetall("h"), { a: "1", b: "2" });
  await cluster.rpush("l", 1, 2, 3);
  assert.deepStrictEqual(await cluster.lrange("l", 0, -1), ["1", "2", "3"]);

  const pipeline = cluster.pipeline(); // of one slot: ioredis wants it so
  for (let number = 0; number < 50; number++) pipeline.incr("{t}counter");
  const told = await pipeline.exec();
  assert.deepStrictEqual(told[49], [null, 50]);

  const multi = await cluster.multi().set("{t}a", 1).incr("{t}a").exec();
  assert.deepStrictEqual(multi, [[null, "OK"], [null, 2]]);
  await Promise.all(cluster.nodes("master").map((node) => node.flushall()));
  await cluster.quit();
}

async function replicas() {
  const cluster = connect({ scaleReads: "slave" });
  await Promise.all(keys.map((key) => cluster.set(key, key)));
  const deadline = Date.now() + 10000;
  for (const key of keys) {
    while ((await cluster.get(key)) !== key) assert.ok(Date.now() < deadline, `${key} did not reach a replica`);
  }
  await cluster.quit();
}

async function messages() {
  const cluster = connect();
  const listener = connect();
  const heard = new Promise((resolve) => listener.on("message", (channel, text) => resolve([channel, text])));
  await listener.subscribe("news");
  await cluster.publish("news", "hello");
  assert.deepStrictEqual(await heard, ["news", "hello"]);
  await Promise.all([cluster.quit(), listener.quit()]);
}

async function moving() {
  // A slot goes from one master to another while its keys are read and written.
  const cluster = connect();
  await cluster.set("{way}0", "0");
  const slot = await cluster.cluster("KEYSLOT", "{way}0");
  const masters = await Promise.all(
    cluster.nodes("master").map(async (node) => ({
      node, id: await node.cluster("MYID"), port: node.options.port, has: await node.cluster("COUNTKEYSINSLOT", slot),
    })),
  );
  const source = masters.find((master) => master.has);
  const target = masters.find((master) => master !== source);
  for (let number = 1; number < 20; number++) await cluster.set(`{way}${number}`, `${number}`);
  await target.node.cluster("SETSLOT", slot, "IMPORTING", source.id);
  await source.node.cluster("SETSLOT", slot, "MIGRATING", target.id);
  const names = Array.from({ length: 20 }, (_, number) => `{way}${number}`);
  const check = async () => {
    for (const name of names) assert.strictEqual(await cluster.get(name), name.slice(5));
  };
  await source.node.migrate("127.0.0.1", target.port, "", 0, 5000, "KEYS", ...names.slice(0, 10));
  await check();
  await cluster.set("{way}new", "new");
  await source.node.migrate("127.0.0.1", target.port, "", 0, 5000, "KEYS", ...names.slice(10));
  await check();
  for (const master of [target, source]) await master.node.cluster("SETSLOT", slot, "NODE", target.id);
  await check();
  assert.strictEqual(await target.node.cluster("COUNTKEYSINSLOT", slot), 21);
  await cluster.quit();
}

(async () => {
  for (const test of [plain, replicas, messages, moving]) await test();
  console.log("OK");
  process.exit(0);
})().catch((error) => {
  console.log(error.stack || error);
  process.exit(1);
});
