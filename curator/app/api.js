// What the page asks of its server. Everything comes from the address that the page was opened at.

export const token = location.pathname.split("/")[1];
const ARRAYS = { "|u1": Uint8Array, "<u4": Uint32Array, "<f4": Float32Array, "<f8": Float64Array };

// A refusal of the server; `status` 0: it could not be reached.
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function answered(path, options) {
  const answer = await fetch(path, options).catch(() => {
    throw new Refusal("the server cannot be reached. Is `curator app` still running?", 0);
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: answer.statusText }));
  throw new Refusal([said.error, said.hint].filter(Boolean).join("; "), answer.status);
}

const posted = (body, type, more) => ({ method: "POST", headers: { "Content-Type": type, "X-Curator-Token": token }, body, ...more });
const asJson = (said, more) => posted(JSON.stringify(said), "application/json", more);

export const get = async (path) => (await answered(path)).json();
export const ask = async (path, said, more) => (await answered(path, asJson(said, more))).json();
export const send = async (path, bytes) => (await answered(path, posted(bytes, "application/octet-stream"))).json();
export const getPacked = async (path) => unpacked(await (await answered(path)).arrayBuffer());
export const askPacked = async (path, said, more) => unpacked(await (await answered(path, asJson(said, more))).arrayBuffer());

// Facts and typed arrays out of one body: the length of the JSON, the JSON, the arrays, each at a multiple of 8 bytes.
function unpacked(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  let at = 8 + Math.ceil(length / 8) * 8;
  for (const [name, [type, count]] of Object.entries(facts.arrays)) {
    const array = new ARRAYS[type](buffer, at, count);
    facts[name] = array;
    at += Math.ceil(array.byteLength / 8) * 8;
  }
  return facts;
}
