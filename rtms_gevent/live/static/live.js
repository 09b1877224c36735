// The live page: draws what arrives over the WebSocket. The messages are described in viewer.py.
//
// What people typed (names, chat, transcript) goes into the page through textContent only.

const HISTORY = 200; // lines kept per list, as on the server
const MAX_PARTICIPANTS = 500; // the same of participants
const SILENCE = 25_000; // ms without any message after which the connection counts as lost
const LEVEL_LIFE = 400; // ms after which a meter falls back to zero
const FIRST_RETRY = 500;
const LAST_RETRY = 15_000;

const PRODUCTS = {
  meeting: "Meeting",
  webinar: "Webinar",
  session: "Video SDK session",
  engagement: "Contact Center engagement",
  call: "Phone call",
};
const STATES = {
  joining: "Joining",
  live: "Live",
  interrupted: "Interrupted",
  paused: "Paused",
  ending: "Ending",
  ended: "Ended",
};
const MEDIA = {
  audio: "Audio",
  video: "Video",
  deskshare: "Shared screen",
  transcript: "Transcript",
  chat: "Chat",
};

const byId = (id) => document.getElementById(id);

/** Return a new element with a class and a text, and children in it. */
function make(tag, className = "", text = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  element.append(...children);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const pad = (number) => String(number).padStart(2, "0");

/** Return a date, or null where there is none: meetings may send any number. */
function dateOf(ms) {
  const date = new Date(ms || NaN);
  return Number.isNaN(date.getTime()) ? null : date;
}

function clockTime(ms) {
  const date = dateOf(ms);
  if (!date) return "";
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  return seconds < 3600 ? rest : `${Math.floor(seconds / 3600)}:${rest}`;
}

function amount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${bytes.toFixed(unit > 0 && bytes < 10 ? 1 : 0)} ${units[unit]}`;
}

function initials(name) {
  const letters = name.split(/\s+/).flatMap((word) => word.match(/[\p{L}\p{N}]/u) ?? []);
  return [letters[0] ?? "?", ...letters.slice(1).slice(-1)].join("").toUpperCase();
}

/** Return the one thing that matters most about a participant now. */
function doingOf({ present, speaking, sharing, video }) {
  if (!present) return "left";
  if (speaking) return "speaking";
  if (sharing) return "sharing";
  return video ? "camera on" : "";
}

// -- lists of lines ------------------------------------------------------------------------------

/** Transcript or chat: lines that may be revised, followed as long as one looks at the end. */
class LineList {
  constructor(id, nameOf, tintOf) {
    this.list = byId(id);
    this.count = byId(`${id}-count`);
    this.scroll = this.list.parentElement;
    this.button = this.scroll.parentElement.querySelector(".latest");
    this.nameOf = nameOf;
    this.tintOf = tintOf;
    this.lines = new Map();
    this.follows = true;
    this.scroll.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.scroll;
      this.follows = scrollHeight - scrollTop - clientHeight < 40;
      this.button.hidden = this.follows;
    });
    this.button.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.follows && this.toEnd()).observe(this.scroll);
  }

  clear() {
    this.lines.clear();
    this.list.replaceChildren();
    this.follows = true;
    this.button.hidden = true;
    this.count.textContent = "";
  }

  apply(lines, isHistory) {
    for (const line of lines) this.put(line, isHistory);
    while (this.lines.size > HISTORY) {
      const [oldest, element] = this.lines.entries().next().value;
      element.remove();
      this.lines.delete(oldest);
    }
    this.group();
    this.count.textContent = this.lines.size >= HISTORY ? `last ${HISTORY}` : this.lines.size || "";
    if (this.follows) this.toEnd();
  }

  put(line, isHistory) {
    const old = this.lines.get(line.id);
    if (line.deleted) {
      old?.remove();
      this.lines.delete(line.id);
      return;
    }
    const element = this.draw(line);
    if (old) {
      old.replaceWith(element);
    } else {
      if (!isHistory) element.dataset.new = "";
      this.list.append(element);
    }
    this.lines.set(line.id, element);
  }

  draw(line) {
    const time = make("time", "", clockTime(line.at));
    time.dateTime = dateOf(line.at)?.toISOString() ?? "";
    const text = make("span", "text", line.text);
    if (line.edited) text.append(make("span", "edited", " (edited)"));
    const name = make("span", "name", this.nameOf(line.user, line.name));
    const element = make("li", `line tint-${this.tintOf(line.user)}`, "", name, time, text);
    element.dataset.user = line.user;
    return element;
  }

  /** Hide the name where the same participant goes on. */
  group() {
    let before = null;
    for (const element of this.lines.values()) {
      element.toggleAttribute("data-again", element.dataset.user === before);
      before = element.dataset.user;
    }
  }

  toEnd() {
    this.scroll.scrollTop = this.scroll.scrollHeight;
    this.follows = true;
    this.button.hidden = true;
  }
}

// -- pictures ------------------------------------------------------------------------------------

class PictureFrame {
  constructor(kind, what, hidesWhenEmpty) {
    this.figure = byId(kind);
    this.what = what;
    this.hidesWhenEmpty = hidesWhenEmpty;
    this.image = this.figure.querySelector("img");
    this.placeholder = this.figure.querySelector(".placeholder");
    this.empty = this.placeholder.textContent;
    this.who = this.figure.querySelector(".who");
    this.number = this.figure.querySelector(".number");
    this.url = null;
  }

  show(header, bytes) {
    const url = URL.createObjectURL(new Blob([bytes], { type: header.mime }));
    const old = this.url;
    this.url = url;
    this.image.onload = this.image.onerror = () => old && URL.revokeObjectURL(old);
    this.image.src = url;
    this.image.alt = `${this.what}${header.name ? `: ${header.name}` : ""}`;
    this.image.hidden = false;
    this.figure.hidden = false;
    this.figure.removeAttribute("data-empty");
    this.figure.dataset.number = header.number;
    setText(this.who, header.name);
    setText(this.number, `frame ${header.number}`);
  }

  clear() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.image.hidden = true;
    this.image.removeAttribute("src");
    this.image.alt = "";
    this.figure.setAttribute("data-empty", "");
    this.figure.hidden = this.hidesWhenEmpty;
    delete this.figure.dataset.number;
    this.placeholder.textContent = this.empty;
    this.who.textContent = this.number.textContent = "";
  }

  /** Say why there is nothing to see although packets arrive. */
  explain(mime, messages) {
    if (this.url || !mime || mime.startsWith("image/")) return;
    this.figure.hidden = false;
    const form = mime === "video/h264" ? "H.264" : "an unknown form";
    setText(
      this.placeholder,
      mime === "too large"
        ? `${this.what} arrives in pictures that are too large for this page.`
        : `${this.what} arrives as ${form}, which a page cannot show as it is. ` +
            "Ask for JPG with at most 5 frames a second to see it here.",
    );
    setText(this.number, `packet ${messages}`);
  }
}

// -- the meeting that is looked at ---------------------------------------------------------------

class Meeting {
  constructor() {
    this.participants = new Map();
    this.tints = new Map();
    this.levels = new Map();
    this.formats = {};
    const nameOf = (user, name) => name || this.nameOf(user);
    const tintOf = (user) => this.tintOf(user);
    this.transcript = new LineList("transcript", nameOf, tintOf);
    this.chat = new LineList("chat", nameOf, tintOf);
    this.pictures = {
      video: new PictureFrame("video", "Video", false),
      deskshare: new PictureFrame("deskshare", "Shared screen", true),
    };
    this.rows = new Map();
    for (const [media, label] of Object.entries(MEDIA)) {
      const cells = [0, 1, 2, 3].map(() => make("td"));
      const head = make("th", "", label);
      head.scope = "row";
      const row = make("tr", "", "", head, ...cells);
      row.dataset.media = media;
      byId("counters").append(row);
      this.rows.set(media, { row, cells, bytes: 0, messages: 0, rate: 0, bitRate: 0 });
    }
    this.clear();
  }

  clear() {
    this.participants.clear();
    this.tints.clear();
    this.levels.clear();
    this.formats = {};
    this.forgotten = 0;
    this.countedAt = null;
    byId("participants").replaceChildren();
    byId("people-count").textContent = "";
    byId("problems").replaceChildren();
    byId("problems-panel").hidden = true;
    this.transcript.clear();
    this.chat.clear();
    for (const picture of Object.values(this.pictures)) picture.clear();
    for (const row of this.rows.values()) {
      Object.assign(row, { bytes: 0, messages: 0, rate: 0, bitRate: 0 });
      this.drawCounter(row, 0);
    }
  }

  nameOf(user) {
    if (user === "0") return "Everyone (mixed)";
    return this.participants.get(user)?.name || `Participant ${user}`;
  }

  tintOf(user) {
    if (this.tints.size > 2 * MAX_PARTICIPANTS) this.tints.clear();
    if (!this.tints.has(user)) this.tints.set(user, this.tints.size % 8);
    return this.tints.get(user);
  }

  apply(detail) {
    this.forgotten = detail.forgotten ?? this.forgotten;
    for (const participant of detail.participants ?? []) this.put(participant);
    if (detail.participants) this.countPeople();
    for (const [user, level] of Object.entries(detail.levels ?? {})) this.setLevel(user, level);
    if (detail.transcript) this.transcript.apply(detail.transcript, detail.full);
    if (detail.chat) this.chat.apply(detail.chat, detail.full);
    for (const kind of detail.clear ?? []) this.pictures[kind]?.clear();
    if (detail.problems) this.addProblems(detail.problems);
    if (detail.counters) this.count(detail.counters);
  }

  put(participant) {
    const { id, name } = participant;
    let element = this.participants.get(id)?.element;
    if (!element) {
      const meter = make("div", "meter", "", make("i"));
      meter.setAttribute("role", "meter");
      meter.setAttribute("aria-valuemin", "0");
      meter.setAttribute("aria-valuemax", "100");
      element = make(
        "li",
        `participant tint-${this.tintOf(id)}`,
        "",
        make("span", "avatar"),
        make("span", "name"),
        make("span", "doing"),
        meter,
      );
      element.children[0].setAttribute("aria-hidden", "true");
      element.dataset.user = id;
      byId("participants").append(element);
    }
    this.participants.set(id, { ...participant, element });
    const shown = name || this.nameOf(id);
    const [avatar, label, doing, meter] = element.children;
    setText(avatar, initials(shown));
    setText(label, shown);
    label.title = shown;
    meter.setAttribute("aria-label", `Loudness of ${shown}`);
    element.toggleAttribute("data-speaking", participant.speaking);
    element.toggleAttribute("data-gone", !participant.present);
    if (participant.speaking) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    setText(doing, doingOf(participant));
  }

  countPeople() {
    while (this.participants.size > MAX_PARTICIPANTS) this.forget();
    const present = [...this.participants.values()].filter((one) => one.present);
    const more = this.forgotten ? `, ${this.forgotten} forgotten` : "";
    byId("people-count").textContent = present.length ? `${present.length}${more}` : "";
  }

  /** Make room as the server does: those who left go first, then the oldest. */
  forget() {
    const all = [...this.participants.values()];
    const { id, element } = all.find((one) => !one.present) ?? all[0];
    element.remove();
    this.participants.delete(id);
    this.levels.delete(id);
  }

  setLevel(user, level) {
    const element = this.participants.get(user)?.element;
    if (!element) return;
    element.toggleAttribute("data-unmeasured", level === null);
    const meter = element.lastElementChild;
    meter.firstElementChild.style.setProperty("--level", `${level ?? 0}%`);
    if (level === null) {
      meter.removeAttribute("aria-valuenow");
      meter.setAttribute("aria-valuetext", "audio, not measured");
    } else {
      meter.removeAttribute("aria-valuetext");
      meter.setAttribute("aria-valuenow", level);
    }
    this.levels.set(user, performance.now());
  }

  /** Let meters fall of which nothing was heard for a while. */
  quieten() {
    const limit = performance.now() - LEVEL_LIFE;
    for (const [user, at] of this.levels) {
      if (at > limit) continue;
      this.setLevel(user, 0);
      this.levels.delete(user);
    }
  }

  showPicture(header, bytes) {
    this.pictures[header.kind]?.show(header, bytes);
  }

  addProblems(problems) {
    const list = byId("problems");
    for (const { text, at } of problems) {
      list.append(make("li", "line", "", make("time", "", clockTime(at)), make("span", "text", text)));
    }
    while (list.children.length > 20) list.firstElementChild.remove();
    byId("problems-count").textContent = list.children.length;
    byId("problems-panel").hidden = false;
  }

  count(counters) {
    const now = performance.now();
    const seconds = this.countedAt === null ? 0 : (now - this.countedAt) / 1000;
    this.countedAt = now;
    for (const [media, [messages, bytes, dropped]] of Object.entries(counters)) {
      const row = this.rows.get(media);
      if (!row) continue;
      if (seconds > 0) {
        row.rate += 0.4 * ((messages - row.messages) / seconds - row.rate);
        row.bitRate += 0.4 * (((bytes - row.bytes) * 8) / seconds - row.bitRate);
      }
      row.messages = messages;
      row.bytes = bytes;
      this.drawCounter(row, dropped);
    }
    for (const [kind, picture] of Object.entries(this.pictures)) {
      picture.explain(this.formats[kind], this.rows.get(kind).messages);
    }
  }

  drawCounter(row, dropped) {
    const [messages, data, rate, lost] = row.cells;
    row.row.toggleAttribute("data-idle", row.messages === 0);
    setText(messages, row.messages.toLocaleString("en"));
    setText(data, amount(row.bytes));
    const perSecond = row.rate >= 10 ? row.rate.toFixed(0) : row.rate.toFixed(1);
    setText(rate, row.rate < 0.05 ? "–" : `${perSecond}/s · ${amount(row.bitRate / 8)}/s`);
    setText(lost, dropped.toLocaleString("en"));
    lost.className = dropped ? "some" : "";
  }
}

// -- all streams ---------------------------------------------------------------------------------

class Page {
  constructor() {
    this.meeting = new Meeting();
    this.skew = 0; // the server's clock minus ours, ms
    this.selected = null;
    this.pinned = false;
    this.send = () => {};
    this.streams = new Map();
    this.buttons = new Map();
    setInterval(() => this.tick(), 200);
  }

  /** Begin anew, after a connection was opened: another process may answer now. */
  reset() {
    this.streams.clear();
    for (const button of this.buttons.values()) button.remove();
    this.buttons.clear();
    this.watched = null;
  }

  apply(message) {
    if (message.now) this.skew = message.now - Date.now();
    if (message.workers) byId("streams").toggleAttribute("data-workers", message.workers > 1);
    for (const about of message.streams ?? []) this.update(about);
    if (message.ids) this.keepOnly(message.ids);
    if (message.streams || message.ids) this.choose();
    const { detail } = message;
    if (detail && detail.id === this.selected) {
      if (detail.full) this.meeting.clear();
      this.meeting.formats = this.streams.get(detail.id)?.formats ?? {};
      this.meeting.apply(detail);
    }
  }

  update(about) {
    const before = this.streams.get(about.id);
    this.streams.set(about.id, about);
    // Whoever chose a stream wants to see it to its end, and then what comes next.
    if (about.id === this.selected && about.state === "ended" && before?.state !== "ended") {
      this.pinned = false;
    }
    let button = this.buttons.get(about.id);
    if (!button) {
      button = make("button", "stream", "", make("span", "dot"), make("span", "label"));
      button.append(make("span", "worker"));
      button.type = "button";
      button.addEventListener("click", () => {
        this.pinned = true;
        this.select(about.id);
      });
      this.buttons.set(about.id, button);
      byId("streams").prepend(button);
    }
    button.dataset.state = about.state;
    const product = PRODUCTS[about.product] ?? "Stream";
    setText(button.querySelector(".label"), `${product} ${about.uuid.slice(0, 8)}`);
    setText(button.querySelector(".worker"), `worker ${about.worker}`);
    const state = STATES[about.state] ?? about.state;
    button.title = `${product} ${about.uuid}: ${state}, worker process ${about.worker}`;
    if (about.id === this.selected) this.drawHeading();
  }

  keepOnly(ids) {
    const known = new Set(ids);
    for (const id of [...this.streams.keys()]) {
      if (known.has(id)) continue;
      this.streams.delete(id);
      this.buttons.get(id)?.remove();
      this.buttons.delete(id);
    }
  }

  /** Follow the newest live stream, unless the user chose another one. */
  choose() {
    const all = [...this.streams.values()];
    const live = all.filter((one) => one.state !== "ended");
    const isThere = this.streams.has(this.selected);
    if (this.pinned && isThere) return this.select(this.selected);
    const current = this.streams.get(this.selected);
    if (current && current.state !== "ended") return this.select(this.selected);
    const next = live.at(-1) ?? current ?? all.at(-1);
    return this.select(next ? next.id : null);
  }

  select(id) {
    if (id !== this.selected) this.meeting.clear();
    this.selected = id;
    if (id !== this.watched) {
      this.watched = id;
      this.send(id ?? "");
    }
    for (const [key, button] of this.buttons) button.setAttribute("aria-pressed", key === id);
    byId("waiting").hidden = id !== null;
    byId("meeting").hidden = id === null;
    this.drawHeading();
  }

  drawHeading() {
    const about = this.streams.get(this.selected);
    if (!about) {
      document.title = "Live · rtms-gevent";
      return;
    }
    setText(byId("product"), PRODUCTS[about.product] ?? "Stream");
    setText(byId("uuid"), about.uuid);
    const state = STATES[about.state] ?? about.state;
    setText(byId("state"), about.reason ? `${state}: ${about.reason}` : state);
    byId("state").dataset.state = about.state;
    document.title = `${about.speaker ? `${about.speaker} · ` : ""}${state} · rtms-gevent`;
  }

  tick() {
    this.meeting.quieten();
    const about = this.streams.get(this.selected);
    if (about) {
      setText(byId("elapsed"), duration((about.ended ?? Date.now() + this.skew) - about.began));
    }
  }
}

// -- the connection ------------------------------------------------------------------------------

class Connection {
  constructor(page) {
    this.page = page;
    this.wait = FIRST_RETRY;
    this.timer = null;
    this.heard = 0;
    page.send = (text) => {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
    };
    for (const event of ["online", "pageshow"]) addEventListener(event, () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
    setInterval(() => this.checkSilence(), 1000);
    this.open();
  }

  open() {
    this.timer = null;
    this.show("connecting", "Connecting");
    const url = new URL("socket", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.search = url.hash = "";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    let opened = false;
    socket.onmessage = ({ data }) => {
      this.heard = performance.now();
      if (typeof data !== "string") return this.takePicture(data);
      const message = JSON.parse(data);
      if (message.hello) {
        opened = true;
        this.wait = FIRST_RETRY;
        this.show("live", "Connected");
        this.notice("");
        this.page.reset();
      }
      return this.page.apply(message);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (code === 1008) this.refused(reason);
      else {
        if (!opened) this.diagnose();
        this.retry();
      }
    };
    this.heard = performance.now();
    this.socket = socket;
  }

  takePicture(buffer) {
    const length = new DataView(buffer).getUint16(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 2, length)));
    if (header.stream === this.page.selected) {
      this.page.meeting.showPicture(header, buffer.slice(2 + length));
    }
  }

  retry() {
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LAST_RETRY);
    this.retryAt = performance.now() + wait;
    this.timer = setTimeout(() => this.open(), wait);
    this.showWait();
  }

  showWait() {
    const seconds = Math.ceil((this.retryAt - performance.now()) / 1000);
    if (seconds > 0) this.show("connecting", `Reconnecting in ${seconds} s`);
  }

  /** Do not wait any longer: the network is back, or somebody looks again. */
  hurry() {
    if (this.timer === null) return;
    clearTimeout(this.timer);
    this.open();
  }

  checkSilence() {
    if (this.timer !== null) this.showWait();
    const socket = this.socket;
    if (!socket || performance.now() - this.heard < SILENCE) return;
    this.socket = null; // its close may take long, and is none of our business any more
    socket.close();
    this.retry();
  }

  refused(reason) {
    this.show("refused", "Refused");
    this.notice(reason || "The server does not let this browser see the page.");
    this.wait = LAST_RETRY;
    this.retryAt = Infinity;
    this.timer = setTimeout(() => this.open(), LAST_RETRY);
  }

  /** The WebSocket did not open. Plain HTTP tells whether the server is there at all. */
  async diagnose() {
    let answer;
    try {
      answer = await fetch("stats", { cache: "no-store" });
    } catch {
      return; // not there: retrying is all that helps
    }
    if (answer.ok) {
      this.notice(
        "The server answers, but not over WebSocket. Run the app with\n" +
          `gunicorn -k ${document.body.dataset.workerClass}\n` +
          "and let a proxy between pass the headers Upgrade and Host on.",
      );
    } else if (answer.status === 403) {
      this.notice(await answer.text());
    }
  }

  show(state, text) {
    byId("connection").dataset.state = state;
    setText(byId("connection-text"), text);
  }

  notice(text) {
    setText(byId("notice"), text);
    byId("notice").hidden = !text;
  }
}

new Connection(new Page());
