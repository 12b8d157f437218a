// A delegate's usual work with imapflow. Argument: JSON with host, port, ca, user, password, folder, other, reading, hidden, letters.
// Prints what happened as one JSON object.

import { readFileSync } from 'node:fs';
import { ImapFlow } from 'imapflow';

const asked = JSON.parse(process.argv[2]);
const said = {};

function client(user = asked.user, password = asked.password) {
    return new ImapFlow({
        host: asked.host,
        port: asked.port,
        secure: false,
        doSTARTTLS: true,
        tls: { ca: readFileSync(asked.ca), servername: asked.host },
        auth: { user, pass: password },
        logger: false,
    });
}

async function refused(work) {
    try {
        const answer = await work();
        return answer === false ? 'false' : `done: ${JSON.stringify(answer)}`;
    } catch (error) {
        return error.serverResponseCode || error.responseStatus || error.code || error.message;
    }
}

try {
    await client(asked.user, 'wrong').connect();
    said.login = 'accepted';
} catch (error) {
    said.login = error.authenticationFailed ? 'refused' : error.message;
}

const imap = client();
await imap.connect();

const listed = await imap.list({ statusQuery: { messages: true, unseen: true } });
said.folders = Object.fromEntries(listed.map((folder) => [folder.path, folder.status ? folder.status.messages : null]));
said.uses = Object.fromEntries(listed.filter((folder) => folder.specialUse).map((folder) => [folder.specialUse, folder.path]));

let lock = await imap.getMailboxLock(asked.folder);
said.readOnly = imap.mailbox.readOnly || false;
const first = {};
for await (const message of imap.fetch('1:*', { uid: true, flags: true, envelope: true, bodyStructure: true, size: true })) {
    first[message.envelope.subject] = message.uid;
}
said.subjects = Object.keys(first);
const { content } = await imap.download(`${first['Plan 1']}`, '1', { uid: true });
let text = '';
for await (const piece of content) {
    text += piece;
}
said.text = text;
const changed = imap.mailbox.highestModseq;
await imap.messageFlagsAdd({ uid: first['Plan 1'] }, ['\\Flagged', '$Todo']);
said.changed = [];
for await (const message of imap.fetch('1:*', { uid: true, flags: true }, { changedSince: changed })) {
    said.changed.push(message.uid === first['Plan 1']);
}
said.found = (await imap.search({ flagged: true, subject: 'Plan' }, { uid: true })).length;
const appended = await imap.append(asked.folder, asked.letter, ['\\Seen'], new Date('2026-10-05T10:00:00Z'));
said.appended = appended.uid > 0;
const copied = await imap.messageCopy({ uid: first['Plan 1'] }, asked.other);
said.copied = copied.uidMap.size;
const moved = await imap.messageMove({ uid: first['Plan 2'] }, asked.other);
said.moved = moved.uidMap.size;
said.deleted = await imap.messageDelete({ uid: first['Plan 3'] });

// Another session files a message while this one idles.
const heard = new Promise((resolve) => imap.once('exists', (event) => resolve(event.count - event.prevCount)));
const idling = imap.idle();
const other = client();
await other.connect();
await other.append(asked.folder, asked.late);
said.heard = await heard;
await other.logout();
await imap.noop();
await idling;
lock.release();

lock = await imap.getMailboxLock(asked.reading);
said.reader = {
    readOnly: imap.mailbox.readOnly,
    flag: await refused(() => imap.messageFlagsAdd('1', ['\\Flagged'])),
    move: await refused(() => imap.messageMove('1', asked.other)),
    append: await refused(() => imap.append(asked.reading, asked.letter)),
};
lock.release();

said.hidden = await Promise.all(
    asked.hidden.map(async (path) => [
        await refused(() => imap.mailboxOpen(path)),
        await refused(() => imap.status(path, { messages: true })),
        await refused(() => imap.mailboxDelete(path)),
    ]),
);
said.created = [(await imap.mailboxCreate('Neu ä')).created, (await imap.mailboxCreate('Neu ä')).created];
await imap.mailboxRename('Neu ä', 'Alt ä');
said.removed = (await imap.mailboxDelete('Alt ä')).path;
said.quota = Boolean((await imap.getQuota()) || true);
await imap.logout();
console.log(JSON.stringify(said));
process.exit(0);
