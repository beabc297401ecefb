//! Streams of the platform, moved natively: chunks cross into wasm only where they are read.
//!
//! The bindings are our own because each of these calls can throw (a lost connection, a stream that is
//! locked), and web-sys lets some of them trap.

use super::glue;
use super::promise::Outcome;
use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// A `ReadableStream`.
    #[derive(Clone, Debug)]
    pub type Source;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn get_reader(this: &Source) -> Result<RawReader, JsValue>;
    #[wasm_bindgen(method, catch, js_name = cancel)]
    fn js_cancel(this: &Source) -> Result<Promise, JsValue>;

    /// Its reader.
    #[derive(Clone, Debug)]
    pub type RawReader;
    #[wasm_bindgen(method, catch)]
    fn cancel(this: &RawReader) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = releaseLock)]
    fn release_lock(this: &RawReader) -> Result<(), JsValue>;

    /// A `WritableStream`.
    #[derive(Clone, Debug)]
    pub type Sink;
    #[wasm_bindgen(method, catch, js_name = getWriter)]
    fn get_writer(this: &Sink) -> Result<RawWriter, JsValue>;

    type RawWriter;
    #[wasm_bindgen(method, catch, js_name = write)]
    fn js_write(this: &RawWriter, chunk: &Uint8Array) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = close)]
    fn js_close(this: &RawWriter) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = abort)]
    fn js_abort(this: &RawWriter) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = releaseLock)]
    fn release_lock(this: &RawWriter) -> Result<(), JsValue>;

    type IdentityTransformStream;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<IdentityTransformStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> Source;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> Sink;
}

/// A stream was lost: the connection broke, or the other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl From<JsValue> for Lost {
    fn from(_: JsValue) -> Self {
        Self
    }
}

fn ignore(promise: Result<Promise, JsValue>) {
    if let Ok(promise) = promise {
        glue::ignore(&promise);
    }
}

impl Source {
    /// A reader of this stream.
    ///
    /// # Errors
    /// When the stream is locked.
    pub fn reader(&self) -> Result<Reader, Lost> {
        Ok(Reader { raw: self.get_reader()?, pending: None })
    }

    /// Everything up to the end at once, read natively: chunk by chunk each one costs a promise. Only for a
    /// stream that nothing was read of.
    ///
    /// # Errors
    /// When the stream is locked or fails.
    pub async fn rest(&self) -> Result<Uint8Array, Lost> {
        let (read, ()) = Outcome::begun(|number, tell| glue::rest(self, number, tell))?;
        Ok(read.await?.unchecked_into())
    }

    /// Gives the stream up; a connection behind it is closed.
    pub fn cancel(&self) {
        ignore(self.js_cancel());
    }
}

/// Reads a stream. At most one read is under way; one that was not waited for to its end is taken up again.
pub struct Reader {
    raw: RawReader,
    pending: Option<Outcome>,
}

impl Reader {
    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// When the stream failed.
    pub async fn read(&mut self) -> Result<Option<Uint8Array>, Lost> {
        if self.pending.is_none() {
            self.pending = Some(Outcome::begun(|number, tell| glue::read(&self.raw, number, tell))?.0);
        }
        let Some(pending) = self.pending.as_mut() else { return Ok(None) };
        let result = pending.await;
        self.pending = None;
        let chunk = result?;
        Ok((!chunk.is_undefined()).then(|| chunk.unchecked_into()))
    }

    /// Lets go of the stream, which can then be read, split or piped by others.
    ///
    /// # Errors
    /// When a read is under way.
    pub fn release(self) -> Result<(), Lost> {
        if self.pending.is_some() {
            return Err(Lost);
        }
        Ok(self.raw.release_lock()?)
    }

    /// Gives the stream up; a connection behind it is closed.
    pub fn cancel(self) {
        ignore(self.raw.cancel());
    }
}

/// A pipe whose other end is read by the client.
pub struct Channel {
    /// What the client reads.
    pub readable: Source,
    /// Where to write.
    pub sink: Sink,
}

impl Channel {
    /// A new pipe.
    ///
    /// # Errors
    /// When the platform makes none.
    pub fn new() -> Result<Self, Lost> {
        let stream = IdentityTransformStream::new()?;
        Ok(Self { readable: stream.readable(), sink: stream.writable() })
    }
}

/// A stream on its way to the client.
pub struct Pump {
    /// What the client reads.
    pub readable: Source,
    /// Where to write the end: it is left open when the stream ends, or when one side fails.
    pub sink: Sink,
    /// The pump's end.
    pub end: Outcome,
    /// The same stream once more, to be read along.
    pub second: Option<Source>,
}

impl Pump {
    /// Moves `head` and then everything of `source` to the client, natively; `twice` gives a second branch of it.
    ///
    /// # Errors
    /// When the stream is locked or the platform makes no pipe.
    pub fn new(head: &[Uint8Array], source: &Source, twice: bool) -> Result<Self, Lost> {
        let parts = glue::pump(source, &head.iter().collect(), twice)?;
        Ok(Self {
            readable: parts.get(0).unchecked_into(),
            sink: parts.get(1).unchecked_into(),
            end: Outcome::of(&parts.get(2).unchecked_into()),
            second: twice.then(|| parts.get(3).unchecked_into()),
        })
    }
}

/// Writes to a stream chunk by chunk; as long as it is there nobody else can.
pub struct Writer {
    raw: RawWriter,
}

impl Writer {
    /// Begins to write a chunk; what that comes to is told when the reader has taken it, or is gone.
    ///
    /// # Errors
    /// When the reader is gone.
    pub fn begin(&self, bytes: &[u8]) -> Result<Outcome, Lost> {
        Ok(Outcome::of(&self.raw.js_write(&Uint8Array::from(bytes))?))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It only fails for a stream that is broken anyway.
        let _ = self.raw.release_lock();
    }
}

impl Sink {
    /// A writer for many chunks.
    ///
    /// # Errors
    /// When the stream is locked.
    pub fn writer(&self) -> Result<Writer, Lost> {
        Ok(Writer { raw: self.get_writer()? })
    }

    /// Queues a chunk in front of whatever is piped later. It is not waited for: a client that is gone is
    /// noticed by the pipe.
    ///
    /// # Errors
    /// When the stream is locked.
    pub fn queue(&self, chunk: &Uint8Array) -> Result<(), Lost> {
        Ok(glue::queue(self, chunk)?)
    }

    /// Writes a chunk and waits until it was taken.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), Lost> {
        let writer = self.get_writer()?;
        let written = Outcome::of(&writer.js_write(&Uint8Array::from(bytes))?).await;
        writer.release_lock()?;
        written?;
        Ok(())
    }

    /// Ends the stream.
    pub async fn close(&self) {
        if let Ok(writer) = self.get_writer()
            && let Ok(closing) = writer.js_close()
        {
            let _ = Outcome::of(&closing).await;
        }
    }

    /// Breaks the stream off: the reader sees a failed connection.
    pub fn abort(&self) {
        if let Ok(writer) = self.get_writer() {
            ignore(writer.js_abort());
        }
    }
}
