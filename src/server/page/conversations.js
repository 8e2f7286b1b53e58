// The chat's history, kept in this browser. Each conversation has a key of its own, so that two
// tabs don't overwrite each other's.

const PREFIX = "fast-dllm.chat.";
/** A longer recording (characters of JSON) isn't kept: a browser gives about five million in all. */
const LARGEST_RECORDING = 300000;

export function newConversation() {
  const now = Date.now();
  const random = crypto.getRandomValues(new Uint32Array(1))[0];
  return { id: `${now}-${random}`, created: now, updated: now, messages: [] };
}

export function titleOf(conversation) {
  const first = conversation.messages.find(({ role }) => role === "user")?.content ?? "";
  const line = first.trim().split("\n")[0];
  return line === "" ? "New chat" : line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

function isMessage(message) {
  return message && typeof message.content === "string" &&
    (message.role === "user" || message.role === "assistant");
}

function read(key) {
  try {
    const stored = JSON.parse(localStorage.getItem(key));
    if (!stored || typeof stored.id !== "string" || !Array.isArray(stored.messages)) return null;
    return { ...stored, updated: Number(stored.updated) || 0,
             messages: stored.messages.filter(isMessage) };
  } catch {
    return null;
  }
}

/** All that are stored, the latest first. */
export function allConversations() {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map(read)
    .filter((conversation) => conversation !== null)
    .sort((a, b) => b.updated - a.updated);
}

const withoutRecordings = (conversation) => ({
  ...conversation,
  messages: conversation.messages.map((message) => ({ ...message, recording: undefined })),
});

function write(conversation) {
  try {
    localStorage.setItem(PREFIX + conversation.id, JSON.stringify(conversation));
    return true;
  } catch {
    return false;
  }
}

/** Stores it; where room is short, the recordings of the oldest go first. False: no room at all. */
export function saveConversation(conversation) {
  const messages = conversation.messages.map((message) => {
    const size = message.recording ? JSON.stringify(message.recording).length : 0;
    return size > LARGEST_RECORDING ? { ...message, recording: undefined } : message;
  });
  const kept = { ...conversation, messages };
  if (write(kept)) return true;
  for (const other of allConversations().reverse()) {
    if (other.id === kept.id) continue;
    write(withoutRecordings(other));
    if (write(kept)) return true;
  }
  return write(withoutRecordings(kept));
}

export function deleteConversation(id) {
  localStorage.removeItem(PREFIX + id);
}
