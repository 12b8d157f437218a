// Sends messages with nodemailer. Standard input: JSON with host, port, secure, ca, user, password, mails, pool.
// Prints what became of each as JSON.

import { readFileSync } from 'node:fs';
import { createTransport } from 'nodemailer';

const asked = JSON.parse(readFileSync(0));

const transport = createTransport({
    host: asked.host,
    port: asked.port,
    secure: asked.secure,
    requireTLS: !asked.secure,
    tls: { ca: readFileSync(asked.ca), servername: asked.host },
    auth: { user: asked.user, pass: asked.password },
    pool: asked.pool || false,
});

async function send(mail) {
    try {
        const info = await transport.sendMail(mail);
        return { ok: true, said: info.response, rejected: info.rejected };
    } catch (error) {
        return { ok: false, said: error.response || error.message, code: error.code };
    }
}

console.log(JSON.stringify(await Promise.all(asked.mails.map(send))));
transport.close();
