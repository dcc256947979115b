// The editor of a text: words become the longest pieces that the vocabulary has.

const PIECES = {};  // what is looked up in the vocabulary, made at its first use

const ids = () => PIECES.ids ??= new Map(DOC.vocabulary.map((word, i) => [word, i]).reverse());
const idOf = (...names) => names.map((name) => ids().get(name)).find((id) => id !== undefined);

/** Cut a text into ids: {ids, unknown}. */
function cutText(text) {
  const found = [], unknown = [];
  // A piece inside a word is written with ## by one kind of tokenizer, with a space before words by others.
  const inside = DOC.vocabulary.some((word) => word.startsWith("##"));
  for (const word of text.match(/\[\w+\]|<\/?\w+>|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? []) {
    const pieces = piecesOf(word, inside) ?? piecesOf(word.toLowerCase(), inside);
    if (pieces) found.push(...pieces);
    else {
      unknown.push(word);
      const stand = idOf("[UNK]", "<unk>");
      if (stand !== undefined) found.push(stand);
    }
  }
  return {ids: found, unknown};
}

function piecesOf(word, inside) {
  const found = [];
  for (let at = 0; at < word.length;) {
    let end = word.length, id;
    for (; end > at; end--) {
      const piece = word.slice(at, end);
      id = at === 0 ? idOf(piece, ` ${piece}`, `▁${piece}`, `Ġ${piece}`)
        : inside ? idOf(`##${piece}`) : idOf(piece);
      if (id !== undefined) break;
    }
    if (id === undefined) return null;
    found.push(id);
    at = end;
  }
  return found;
}

const SPECIAL = /^(\[(PAD|CLS|SEP|UNK|MASK)\]|<(pad|s|\/s|unk)>)$/;

function textEditor(part) {
  const feed = part.feed, length = LIVE.feeds[feed].length;
  const wordOf = (id) => DOC.vocabulary[id] ?? "";
  const before = Array.from(LIVE.feeds[feed], Number);
  const first = idOf("[CLS]", "<s>"), last = idOf("[SEP]", "</s>"), pad = idOf("[PAD]", "<pad>");
  const framed = before[0] === first && first !== undefined;
  const ended = last !== undefined && before.includes(last);
  const text = before.map(wordOf).filter((word) => !SPECIAL.test(word))
    .reduce((all, word) => (word.startsWith("##") ? all + word.slice(2) : `${all} ${word}`), "").trim();
  const note = el("p", {class: "quiet", role: "status"});
  const box = el("textarea", {rows: 3, id: `text-${part.start}`, spellcheck: "false"});
  box.value = text;
  box.addEventListener("input", () => {
    const {ids: inner, unknown} = cutText(box.value);
    const room = length - framed - ended, kept = inner.slice(0, room);
    const all = [...(framed ? [first] : []), ...kept, ...(ended ? [last] : [])], used = all.length;
    while (all.length < length) all.push(pad ?? 0);
    putTokens(part, all, used);
    const said = [`${kept.length} of at most ${room} tokens`];
    if (inner.length > room) said.push(`${inner.length - room} more are left out`);
    if (used < length) said.push(`filled up with ${length - used} × ${wordOf(pad ?? 0) || "id 0"}`);
    if (unknown.length) said.push(`not in the vocabulary: ${unknown.join(", ")}`);
    note.textContent = `${said.join("; ")}.`;
    changed();
  });
  return el("div", {class: "editor"}, el("label", {for: box.id}, "Text"), box, note,
    el("p", {class: "quiet"}, "Words are cut into the longest pieces that the vocabulary has, which is "
      + "what WordPiece does; other tokenizers may cut otherwise. The tokens are those coloured below."));
}

/** Set the ids, and a mask of their shape where there is one. */
function putTokens(part, all, used) {
  part.names = all.map((id) => DOC.vocabulary[id] || String(id));
  const fill = (name, values) => {
    const data = LIVE.feeds[name];
    data.set(data instanceof BigInt64Array ? values.map(BigInt) : values);
  };
  fill(part.feed, all);
  for (const feed of DOC.feeds) {
    if (!/mask/i.test(feed.name) || LIVE.feeds[feed.name].length !== all.length) continue;
    fill(feed.name, all.map((_, i) => Number(i < used)));
  }
}
