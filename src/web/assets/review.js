// Review: one page of a corpus beside its text, by keyboard. No framework, nothing is loaded but this server's own API.
"use strict";

const at = (id) => document.getElementById(id);
const text = at("text"), stage = at("stage"), sheet = at("sheet"), picture = at("picture"), told = at("told");
const readOnly = document.body.dataset.readOnly === "true";
const ZOOMS = [0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];

let list = [];        // what is to be looked at, in its order: {id, path, why, review}
let place = -1;       // where we are in it
let image = null;     // the image shown, as the server told it
let seen = "";        // its text as it was shown: what an edit is compared with
let asked = 0;        // which request for an image is the newest
let zoom = 1, turned = 0;
let again = null;     // the image that x was pressed for once

// ---- the server

async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("batchscribe does not answer. Was it ended? Copy what you have typed, and start it again.");
  }
  const words = await answer.text();
  let document = null;
  try { document = JSON.parse(words); } catch { /* words for people */ }
  if (!answer.ok) {
    const error = new Error((document && document.error) || words || `the server says ${answer.status}`);
    error.status = answer.status;
    throw error;
  }
  return document;
}

async function readList() {
  const all = [];
  let after = "";
  for (;;) {
    const page = await call(`/api/v1/images${after}`);
    all.push(...page.images);
    if (page.next === null) return all;
    after = `?after=${page.next}`;
  }
}

// ---- showing

function say(words, isBad) {
  told.textContent = words;
  told.classList.toggle("bad", Boolean(isBad));
}

const isDirty = () => image !== null && !text.readOnly && text.value !== seen;
const isEditing = () => document.activeElement === text && !text.readOnly;

function about() {
  if (image.fixed) return image.fixed;
  if (!image.is_there) return image.state === "failed" ? `No text: ${words(image.reason)}. You may type one.` : "There is no text.";
  const kind = image.edited ? "A person's text" : image.rough ? "Rough text; what you save stands beside it" : "";
  return [kind, image.model].filter(Boolean).join(" · ");
}

const words = (name) => String(name || "").replaceAll("_", " ");

function showTags() {
  const listed = list[place];
  const tags = [image.state === "done" ? "" : image.reason || words(image.state), ...image.flags];
  at("tags").replaceChildren(...tags.filter(Boolean).flatMap((tag) => {
    const span = document.createElement("span");
    span.className = "tag";
    span.textContent = words(tag);
    return [span, " "];
  }));
  const why = listed ? { doubtful: "doubtful", failed: "without a text", drawn: "chosen at random" }[listed.why] : "";
  at("place").textContent = listed ? `${place + 1} of ${list.length}${why ? `, ${why}` : ""}` : "";
}

function showState() {
  for (const button of document.querySelectorAll(".verdict")) {
    button.setAttribute("aria-pressed", String(image !== null && image.review === button.dataset.review));
    button.disabled = readOnly || image === null;
  }
  at("save").disabled = at("undo").disabled = !isDirty();
  at("edit").disabled = readOnly || image === null || Boolean(image.fixed);
  at("again").disabled = readOnly || image === null;
  at("previous").disabled = place <= 0;
  at("next").disabled = place < 0 || place >= list.length - 1;
  text.parentElement.classList.toggle("editing", isEditing());
}

function show(told) {
  image = told;
  again = null;
  at("path").textContent = image.path;
  text.value = image.text;
  // As the browser keeps it: line ends are one sign there.
  seen = text.value;
  text.readOnly = readOnly || Boolean(image.fixed);
  text.scrollTop = 0;
  at("about").textContent = about();
  document.title = `${image.path} · batchscribe`;
  history.replaceState(null, "", `/review?image=${image.id}`);
  showTags();
  showPicture();
  showState();
}

function showPicture() {
  const isOriginal = at("original").getAttribute("aria-pressed") === "true";
  const address = `/picture/${image.id}${isOriginal ? "/original" : ""}`;
  picture.alt = `Scan of ${image.path}`;
  if (picture.getAttribute("src") !== address) {
    picture.hidden = true;
    picture.src = address;
  } else if (picture.complete) {
    pictureCame();
  }
}

function pictureCame() {
  picture.hidden = picture.naturalWidth === 0;
  if (picture.naturalWidth === 0) { pictureFailed(); return; }
  at("no-picture").hidden = true;
  sheet.hidden = false;
  fit();
}

// The reason is in the body of the answer, which an img does not tell.
async function pictureFailed() {
  const address = picture.getAttribute("src");
  if (!address) return;
  sheet.hidden = true;
  at("no-picture").hidden = false;
  at("no-picture").textContent = "No picture.";
  try { await call(address); } catch (error) {
    if (picture.getAttribute("src") === address) at("no-picture").textContent = `No picture: ${error.message}`;
  }
}

// The picture fills the width at zoom 1, however it is turned; it is a box of its own size, so that it can be scrolled.
function fit() {
  const { naturalWidth: width, naturalHeight: height } = picture;
  if (!width) return;
  const lies = turned % 180 !== 0;
  const scale = (stage.clientWidth / (lies ? height : width)) * zoom;
  const middle = [(stage.scrollLeft + stage.clientWidth / 2) / (sheet.offsetWidth || 1), (stage.scrollTop + stage.clientHeight / 2) / (sheet.offsetHeight || 1)];
  picture.style.width = `${width * scale}px`;
  picture.style.height = `${height * scale}px`;
  picture.style.transform = `translate(-50%, -50%) rotate(${turned}deg)`;
  sheet.style.width = `${(lies ? height : width) * scale}px`;
  sheet.style.height = `${(lies ? width : height) * scale}px`;
  if (zoom > 1) stage.scrollTo(middle[0] * sheet.offsetWidth - stage.clientWidth / 2, middle[1] * sheet.offsetHeight - stage.clientHeight / 2);
}

function zoomBy(steps) {
  const now = ZOOMS.reduce((best, it, index) => (Math.abs(it - zoom) < Math.abs(ZOOMS[best] - zoom) ? index : best), 0);
  zoom = ZOOMS[Math.min(Math.max(now + steps, 0), ZOOMS.length - 1)];
  fit();
}

function press(button, act) {
  button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
  act();
}

// ---- going about

async function go(to) {
  if (to < 0 || to >= list.length) { say(to < 0 ? "This is the first page." : "This is the last page."); return; }
  if (!(await save())) return;
  const number = ++asked;
  say("");
  try {
    const told = await call(`/api/v1/images/${list[to].id}`);
    if (number !== asked) return;
    place = to;
    turned = 0;
    stage.scrollTo(0, 0);
    show(told);
    const after = list[to + 1];
    if (after) new Image().src = `/picture/${after.id}`;
  } catch (error) { say(error.message, true); }
}

// Whether nothing is left that was not saved.
async function save() {
  if (!isDirty()) return true;
  const [mine, typed] = [image, text.value];
  try {
    const told = await call("/api/v1/text", { image: mine.id, text: typed, hash: mine.hash });
    if (image !== mine) return true;
    const goesOn = text.value !== typed;
    image = { ...told, review: mine.review };
    seen = goesOn ? typed : told.text;
    if (!goesOn && text.value !== told.text) text.value = told.text;
    seen = goesOn ? typed : text.value;
    at("about").textContent = about();
    say(told.noted ? "Saved." : `Saved. ${told.why_not_noted}: later runs see all the same that the text is yours.`);
    showState();
    return !goesOn;
  } catch (error) {
    say(error.status === 409 ? `${error.message}. Copy what you have typed, then press Undo all to see what is there now.` : error.message, true);
    return false;
  }
}

async function undo() {
  try { show(await call(`/api/v1/images/${image.id}`)); say(""); } catch (error) { say(error.message, true); }
}

async function judge(review) {
  if (readOnly || image === null || !(await save())) return;
  const mine = image;
  try {
    await call("/api/v1/review", { image: mine.id, review });
    mine.review = review;
    const listed = list.find((it) => it.id === mine.id);
    if (listed) listed.review = review;
    showState();
    if (review !== "unreviewed" && place >= 0 && place < list.length - 1) { await go(place + 1); say(`${mine.path}: ${words(review)}.`); } else { say(`${words(review)}.`); }
  } catch (error) { say(error.message, true); }
}

async function askAgain() {
  if (readOnly || image === null) return;
  if (again !== image) {
    again = image;
    say("The next run would ask for this page again, and pay for it. Press x once more.");
    return;
  }
  again = null;
  try {
    await call("/api/v1/retry", { image: image.id });
    image.state = "owed";
    image.review = "unreviewed";
    showTags();
    showState();
    say("It is owed again: the next run asks for it. A text that you edited stays.");
  } catch (error) { say(error.message, true); }
}

function edit() {
  if (text.readOnly) return;
  text.focus();
  text.setSelectionRange(0, 0);
}

// ---- keys, buttons, the mouse

const KEYS = {
  1: () => judge("good"), 2: () => judge("needs_work"), 3: () => judge("unreadable"), 4: () => judge("unreviewed"),
  j: () => go(place + 1), k: () => go(place - 1), e: edit, x: askAgain,
  "+": () => zoomBy(1), "=": () => zoomBy(1), "-": () => zoomBy(-1), 0: () => { zoom = 1; fit(); },
  r: () => { turned = (turned + 90) % 360; fit(); }, R: () => { turned = (turned + 270) % 360; fit(); },
  i: () => press(at("invert"), () => stage.classList.toggle("inverted")), o: () => image && press(at("original"), showPicture),
};

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") { event.preventDefault(); save(); return; }
  if (event.key === "Escape" && document.activeElement === text) { text.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isEditing()) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

const CLICKS = { previous: "k", next: "j", edit: "e", again: "x", larger: "+", smaller: "-", fit: "0", rotate: "r", invert: "i", original: "o" };
for (const [id, key] of Object.entries(CLICKS)) at(id).addEventListener("click", () => KEYS[key]());
for (const button of document.querySelectorAll(".verdict")) {
  button.addEventListener("click", () => judge(button.getAttribute("aria-pressed") === "true" ? "unreviewed" : button.dataset.review));
}
at("save").addEventListener("click", save);
at("undo").addEventListener("click", undo);
for (const event of ["input", "focus", "blur"]) text.addEventListener(event, showState);
picture.addEventListener("load", pictureCame);
picture.addEventListener("error", pictureFailed);
addEventListener("resize", fit);
addEventListener("beforeunload", (event) => { if (isDirty()) event.preventDefault(); });

stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoomBy(event.deltaY < 0 ? 1 : -1);
}, { passive: false });
stage.addEventListener("pointerdown", (event) => {
  if (event.pointerType !== "mouse" || event.button !== 0) return;
  const [x, y] = [event.clientX + stage.scrollLeft, event.clientY + stage.scrollTop];
  const move = (event) => stage.scrollTo(x - event.clientX, y - event.clientY);
  stage.setPointerCapture(event.pointerId);
  stage.classList.add("held");
  stage.addEventListener("pointermove", move);
  stage.addEventListener("lostpointercapture", () => { stage.removeEventListener("pointermove", move); stage.classList.remove("held"); }, { once: true });
});

// ---- the beginning: the page came with its first image

async function begin() {
  showState();
  const first = document.body.dataset.image;
  if (first === undefined) return;
  try {
    const [all, told] = await Promise.all([readList(), call(`/api/v1/images/${first}`)]);
    list = all;
    place = list.findIndex((it) => it.id === told.id);
    // Somebody came for an image that is not in the list: it is shown before the others.
    if (place < 0) { list.unshift({ id: told.id, path: told.path, why: "", review: told.review }); place = 0; }
    show(told);
    document.body.dataset.ready = "true";
    if (list[place + 1]) new Image().src = `/picture/${list[place + 1].id}`;
  } catch (error) { say(error.message, true); }
}
begin();
