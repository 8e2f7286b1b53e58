// The chat: conversations, the one that is open, and its answers as they denoise.
import { button, download, element, growWithText } from "./dom.js";
import { allConversations, deleteConversation, newConversation, saveConversation, titleOf }
  from "./conversations.js";
import { legend } from "./canvas.js";
import { Notice } from "./notice.js";
import { Player } from "./player.js";
import { Recording } from "./recording.js";
import { record } from "./run.js";
import { SettingsForm } from "./settings.js";

const SETTINGS = "fast-dllm.settings";
const ENDINGS = { length: "Ended at the length limit.", stopped: "Stopped." };

function storedSettings() {
  try {
    return JSON.parse(localStorage.getItem(SETTINGS)) ?? {};
  } catch {
    return {};
  }
}

export class Chat {
  #conversation = newConversation();
  #abort = null;
  #deleted = new Set();
  #fit;
  #notice = new Notice();
  #model;

  /** `parts`: the page's elements by name; `model()`: the model to ask. */
  constructor(parts, model) {
    this.parts = parts;
    this.#model = model;
    this.form = new SettingsForm({ onChange: () => this.#storeSettings() });
    const stored = storedSettings();
    this.form.setValues(stored.options);
    parts.system.value = typeof stored.system === "string" ? stored.system : "";
    parts.system.addEventListener("input", () => this.#storeSettings());
    parts.settings.append(this.form.element, button("Reset to the defaults", () => {
      this.form.setValues({});
      this.#storeSettings();
    }, { class: "quiet" }));
    parts.composer.prepend(this.#notice.element);
    this.#fit = growWithText(parts.message);
    parts.composer.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#abort) this.#abort.abort();
      else this.#send();
    });
    parts.message.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.#abort) this.#send();
    });
    parts.newChat.addEventListener("click", () => {
      this.#open(newConversation());
      parts.message.focus();
    });
    parts.exportChat.addEventListener("click", () => this.#export());
    this.#open(newConversation());
  }

  /** Shows questions that are asked by a click on them. */
  offer(questions) {
    const { examples, examplesList, message } = this.parts;
    examples.hidden = questions.length === 0;
    examplesList.replaceChildren(...questions.map((question) => element("li", {},
      button(question, () => {
        if (this.#abort) return;
        message.value = question;
        message.focus();
        this.#send();
      }, { class: "example" }))));
  }

  setTable(table) {
    this.form.setTable(table);
  }

  #storeSettings() {
    localStorage.setItem(SETTINGS, JSON.stringify(
      { options: this.form.values(), system: this.parts.system.value }));
  }

  #open(conversation) {
    this.#abort?.abort();
    this.#conversation = conversation;
    this.#notice.clear();
    const { turns } = this.parts;
    turns.replaceChildren();
    for (const message of conversation.messages) {
      if (message.role === "user") this.#addQuestion(message.content);
      else this.#addStoredAnswer(message);
    }
    this.#list();
    turns.lastElementChild?.scrollIntoView({ block: "end" });
  }

  #list() {
    const { history, turns, exportChat, welcome } = this.parts;
    welcome.hidden = this.#conversation.messages.length > 0 || this.#abort !== null;
    turns.hidden = !welcome.hidden;
    exportChat.disabled = this.#conversation.messages.length === 0;
    const entries = allConversations().map((conversation) => {
      const title = titleOf(conversation);
      const current = conversation.id === this.#conversation.id;
      return element("li", {},
        button(title, () => this.#open(conversation),
               { class: "title", "aria-current": current ? "true" : null }),
        button("×", () => this.#delete(conversation),
               { class: "delete", "aria-label": `Delete “${title}”`, title: "Delete" }));
    });
    history.replaceChildren(...entries);
  }

  #delete(conversation) {
    deleteConversation(conversation.id);
    this.#deleted.add(conversation.id);
    if (conversation.id === this.#conversation.id) this.#open(newConversation());
    const { undo } = this.parts;
    undo.replaceChildren(`Deleted “${titleOf(conversation)}”. `, button("Undo", () => {
      this.#deleted.delete(conversation.id);
      saveConversation(conversation);
      undo.replaceChildren();
      this.#list();
    }, { class: "link" }));
    this.#list();
    undo.querySelector("button").focus();
  }

  #export() {
    const title = titleOf(this.#conversation);
    const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40);
    download(`${name || "chat"}.json`, "application/json",
             JSON.stringify({ title, ...this.#conversation }, null, 1));
  }

  #addQuestion(text) {
    const turn = element("li", { class: "turn question" },
      element("h3", { class: "who" }, "You"), element("p", { class: "text" }, text));
    this.parts.turns.append(turn);
    return turn;
  }

  /** An answer's place in the conversation; its player is made when its details are opened. */
  #addAnswer(recording, open) {
    const text = element("p", { class: "text", "aria-live": "polite" });
    const ending = element("p", { class: "ending" });
    const details = element("details", { class: "denoising", open },
                            element("summary", {}, "Denoising"));
    const turn = element("li", { class: "turn answer" },
      element("h3", { class: "who" }, "Model"), text, ending, details);
    let player = null;
    const show = () => {
      if (player || !details.open) return;
      player = new Player("Denoising of this answer");
      details.append(player.element, legend());
      player.open(recording, this.#abort !== null);
    };
    details.addEventListener("toggle", show);
    if (open) show();
    this.parts.turns.append(turn);
    return { turn, text, ending, details, player: () => player };
  }

  #addStoredAnswer(message) {
    const recording = Recording.fromJSON(message.recording);
    const { text, ending, details } = this.#addAnswer(recording, false);
    text.textContent = message.content;
    ending.textContent = ENDINGS[message.ending] ?? "";
    if (!recording) details.remove();
  }

  async #send() {
    const { message, system, send } = this.parts;
    const question = message.value;
    if (question.trim() === "") return;
    const conversation = this.#conversation;
    this.#notice.clear();
    let options;
    try {
      options = this.form.body();
    } catch (error) {
      this.#notice.show(error, this.form, () => this.parts.revealSettings());
      return;
    }
    const said = conversation.messages.map(({ role, content }) => ({ role, content }));
    if (system.value.trim()) said.unshift({ role: "system", content: system.value });
    said.push({ role: "user", content: question });

    this.#abort = new AbortController();
    const abort = this.#abort;
    send.textContent = "Stop";
    message.value = "";
    this.#fit();
    for (const details of this.parts.turns.querySelectorAll("details[open]")) details.open = false;
    this.#list();
    const recording = new Recording();
    const asked = this.#addQuestion(question);
    const { turn, text, ending, player } = this.#addAnswer(recording, true);
    turn.setAttribute("aria-busy", "true");
    let laidOut = false;
    try {
      const stopped = await record("/v1/chat/completions",
        { model: this.#model()?.id ?? "default", messages: said, ...options }, abort.signal, recording,
        () => {
          if (text.textContent !== recording.answer) text.textContent = recording.answer;
          player().update();
          if (laidOut || !recording.canvas) return;
          laidOut = true;
          asked.scrollIntoView({ block: "start" });
        });
      const how = stopped ? "stopped" : recording.finishReason;
      ending.textContent = ENDINGS[how] ?? "";
      if (recording.answer === "" && !stopped) ending.textContent = "The answer is empty.";
      conversation.messages.push({ role: "user", content: question },
        { role: "assistant", content: recording.answer, ending: how,
          settings: options, recording: recording.toJSON() });
      conversation.updated = Date.now();
      if (!this.#deleted.has(conversation.id) && !saveConversation(conversation)) {
        this.#notice.say("This browser has no room for the conversation: delete some, or export it.");
      }
    } catch (error) {
      asked.remove();
      turn.remove();
      if (message.value === "") message.value = question;
      this.#fit();
      this.#notice.show(error, this.form, () => this.parts.revealSettings());
    } finally {
      this.#abort = null;
      turn.removeAttribute("aria-busy");
      player()?.finish();
      send.textContent = "Send";
      this.#list();
    }
  }
}
