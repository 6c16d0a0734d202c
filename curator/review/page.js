"use strict";
// The review page: shows one group at a time, sends each decision, and goes on once the server has it.
// Everything shown comes in as text (textContent), never as markup.

const token = location.pathname.split("/")[1];
const find = (id) => document.getElementById(id);
const decided = []; // places in `items`, in the order of decisions: what undo takes back
let items = [];
let place = 0;
let wrong = null;
let sending = false;

const names = { id: "ID", ood: "OOD", unsure: "unsure", bad_image: "bad image" };

function element(tag, text) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  return made;
}

function complain(text) {
  find("message").textContent = text;
  find("message").hidden = !text;
}

function show() {
  const open = items.filter((item) => !item.decision).length;
  const item = items[place];
  find("progress").textContent = items.length ? `${place + 1} of ${items.length}, ${open} open` : "";
  find("item").hidden = !item;
  find("done").hidden = items.length > 0 && open > 0;
  find("previous").disabled = place === 0;
  find("next").disabled = place >= items.length - 1;
  find("undo").disabled = decided.length === 0;
  if (!item) return;
  find("title").textContent = item.name;
  find("address").textContent = item.uri;
  find("picture").src = `pictures/${item.image_id}`;
  find("picture").alt = `${item.name}: ${item.uri.split("/").pop()}`;
  showFacts("facts", {
    "The policy says": item.flagged ? "OOD" : "ID", "Images alike": item.images, "Shown because": item.why,
  });
  showFacts("details", {
    "id_score": Number(item.id_score).toPrecision(3), "Nearest ID label": item.top_id, "Nearest negative": item.top_negative,
  });
  const members = find("members");
  members.replaceChildren();
  for (const id of item.members ?? []) {
    const picture = element("img");
    picture.src = `pictures/${id}`;
    picture.alt = "an image of the same group";
    picture.loading = "lazy";
    const entry = element("li");
    entry.append(picture);
    members.append(entry);
  }
  wrong = item.wrong_label ?? null;
  find("note").value = item.note ?? "";
  showLabels(item);
  for (const button of document.querySelectorAll("[data-decision]")) {
    button.setAttribute("aria-pressed", String(button.dataset.decision === item.decision));
  }
  const said = item.decision ? `Decided: ${names[item.decision]}` : "";
  find("state").textContent = said + (item.wrong_label ? `, wrong label: ${item.wrong_label}` : "");
}

function showFacts(id, rows) {
  const list = find(id);
  list.replaceChildren();
  for (const [name, value] of Object.entries(rows)) list.append(element("dt", name), element("dd", value ?? "none"));
}

function showLabels(item) {
  const labels = find("labels");
  labels.replaceChildren();
  for (const label of new Set([item.top_negative, item.top_id])) {
    if (!label) continue;
    const button = element("button", label);
    button.type = "button";
    button.setAttribute("aria-pressed", String(label === wrong));
    button.addEventListener("click", () => markWrong(label === wrong ? null : label));
    labels.append(button);
  }
}

function markWrong(label) {
  wrong = label;
  const item = items[place];
  showLabels(item);
  if (item.decision) decide(item.decision, false);
  else find("state").textContent = label ? `Wrong label: ${label}. Now decide.` : "";
}

function cycleWrong() {
  const item = items[place];
  if (!item) return;
  const labels = [...new Set([item.top_negative, item.top_id])].filter(Boolean);
  markWrong(labels[labels.indexOf(wrong) + 1] ?? null);
}

async function send(item, decision, label, note) {
  const body = JSON.stringify({ image_id: item.image_id, group_id: item.group_id, decision, wrong_label: label, note });
  const headers = { "Content-Type": "application/json", "X-Curator-Token": token };
  const answer = await fetch("decisions", { method: "POST", headers, body }).catch((fault) => {
    throw new Error(`${fault.message}. Is \`curator review serve\` still running?`);
  });
  if (!answer.ok) throw new Error((await answer.json()).error);
}

async function act(work) {
  if (sending) return;
  sending = true;
  try {
    await work();
    complain("");
  } catch (fault) {
    complain(`Not saved: ${fault.message}`);
  } finally {
    sending = false;
  }
}

function decide(decision, advance = true) {
  const item = items[place];
  if (!item) return Promise.resolve();
  const note = find("note").value.trim() || null;
  const label = wrong;
  return act(async () => {
    await send(item, decision, label, note);
    Object.assign(item, { decision, wrong_label: label, note });
    if (decided.at(-1) !== place) decided.push(place);
    if (advance && place < items.length - 1) place += 1;
    show();
  });
}

function undo() {
  if (!decided.length) return Promise.resolve();
  return act(async () => {
    const item = items[decided.at(-1)];
    await send(item, "withdrawn", null, null);
    Object.assign(item, { decision: null, wrong_label: null, note: null });
    place = decided.pop();
    show();
  });
}

function go(step) {
  place = Math.min(Math.max(place + step, 0), Math.max(items.length - 1, 0));
  show();
}

const keys = {
  i: () => decide("id"), o: () => decide("ood"), u: () => decide("unsure"), b: () => decide("bad_image"),
  w: cycleWrong, z: undo, ArrowLeft: () => go(-1), ArrowRight: () => go(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
for (const button of document.querySelectorAll("[data-decision]")) {
  button.addEventListener("click", () => decide(button.dataset.decision));
}
find("previous").addEventListener("click", () => go(-1));
find("next").addEventListener("click", () => go(1));
find("undo").addEventListener("click", undo);

fetch("items").then((answer) => answer.json()).then((found) => {
  items = found.items;
  find("ruling").textContent = found.ruling;
  place = Math.max(items.findIndex((item) => !item.decision), 0);
  show();
}).catch((fault) => complain(`The groups could not be loaded: ${fault.message}`));
