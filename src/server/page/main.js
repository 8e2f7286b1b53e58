// Puts the page together: which view is open, the model's name, the key.
import { ApiError, apiDescription, apiKey, firstModel } from "./api.js";
import { Chat } from "./chat.js";
import { examplesFor } from "./examples.js";
import { Infill } from "./infill.js";
import { Race } from "./race.js";
import { OptionTable } from "./settings.js";

const byId = (id) => document.getElementById(id);
const VIEWS = ["chat", "race", "infill"];

let model = null;
const chat = new Chat({
  turns: byId("turns"), welcome: byId("welcome"), composer: byId("composer"),
  message: byId("message"), send: byId("send"), history: byId("history-list"), undo: byId("undo"),
  newChat: byId("new-chat"), exportChat: byId("export-chat"), system: byId("system"),
  examples: byId("examples"), examplesList: byId("examples-list"),
  settings: byId("chat-settings"), revealSettings: () => reveal(byId("settings-panel")),
}, () => model);
const race = new Race({
  form: byId("race-form"), prompt: byId("race-prompt"), order: byId("race-order"),
  start: byId("race-start"), sides: byId("race-sides"), result: byId("race-result"),
}, () => model);
const infill = new Infill({
  form: byId("infill-form"), text: byId("infill-text"), size: byId("hole-size"),
  insert: byId("insert-hole"), preview: byId("infill-preview"), fill: byId("fill"),
  settings: byId("infill-settings"), summary: byId("infill-summary"),
  result: byId("infill-result"), filled: byId("infill-filled"), canvas: byId("infill-canvas"),
}, () => model);

function openView() {
  const wanted = location.hash.slice(1);
  const view = VIEWS.includes(wanted) ? wanted : VIEWS[0];
  for (const name of VIEWS) {
    byId(name).hidden = name !== view;
    const link = document.querySelector(`nav a[href="#${name}"]`);
    if (name === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.body.dataset.view = view;
  byId("skip").href = `#${view}`;
}

// Beside the conversation where there is room, else popovers that the header's buttons open.
const wide = matchMedia("(min-width: 70rem)");
const panels = [byId("history-panel"), byId("settings-panel")];
function placePanels() {
  for (const panel of panels) {
    if (wide.matches) panel.removeAttribute("popover");
    else panel.setAttribute("popover", "auto");
  }
}
function reveal(panel) {
  if (!wide.matches && !panel.matches(":popover-open")) panel.showPopover();
}
byId("history-list").addEventListener("click", (event) => {
  if (!wide.matches && event.target.closest(".title")) byId("history-panel").hidePopover();
});

async function askForModel() {
  const name = byId("model");
  try {
    model = await firstModel();
    name.textContent = model.id;
    name.title = [model.id, model.family, model.backend].filter(Boolean).join(", ");
    chat.offer(examplesFor(model));
    const table = new OptionTable(await apiDescription());
    for (const view of [chat, infill, race]) view.setTable(table);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    name.textContent = error.status === 401 ? "needs an API key" : "no server";
    name.title = error.message;
    if (error.status === 401) byId("key-panel").showPopover();
  }
}

byId("key").value = apiKey.get();
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  apiKey.set(byId("key").value.trim());
  byId("key-panel").hidePopover();
  askForModel();
});
byId("forget-key").addEventListener("click", () => {
  apiKey.set("");
  byId("key").value = "";
  byId("key-panel").hidePopover();
  askForModel();
});

wide.addEventListener("change", placePanels);
placePanels();
addEventListener("hashchange", openView);
openView();
askForModel();
