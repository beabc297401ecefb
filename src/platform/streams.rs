//! Streams of the platform, moved natively: chunks cross into wasm only where they are read.
//!
//! The bindings are our own because each of these calls can throw (a lost connection, a stream that is
//! locked), and web-sys lets some of them trap.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    /// A `ReadableStream`.
    #[derive(Clone, Debug)]
    pub type Source;
    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn get_reader(this: &Source) -> Result<RawReader, JsValue>;
    #[wasm_bindgen(method, catch, js_name = tee)]
    fn js_tee(this: &Source) -> Result<Array, JsValue>;
    #[wasm_bindgen(method, catch, js_name = cancel)]
    fn js_cancel(this: &Source) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = pipeTo)]
    fn pipe_to(this: &Source, sink: &Sink, options: &PipeOptions) -> Result<Promise, JsValue>;

    #[derive(Clone, Debug)]
    type RawReader;
    #[wasm_bindgen(method, catch)]
    fn read(this: &RawReader) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn cancel(this: &RawReader) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = releaseLock)]
    fn release_lock(this: &RawReader) -> Result<(), JsValue>;

    type ReadResult;
    #[wasm_bindgen(method, getter)]
    fn value(this: &ReadResult) -> Option<Uint8Array>;

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

    type Holder;
    #[wasm_bindgen(constructor, js_class = "Response", catch)]
    fn new(body: &Source) -> Result<Holder, JsValue>;
    #[wasm_bindgen(method, catch, js_name = arrayBuffer)]
    fn array_buffer(this: &Holder) -> Result<Promise, JsValue>;

    type IdentityTransformStream;
    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<IdentityTransformStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> Source;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> Sink;

    type PipeOptions;
    #[wasm_bindgen(method, setter, js_name = preventAbort)]
    fn set_prevent_abort(this: &PipeOptions, value: bool);
    #[wasm_bindgen(method, setter, js_name = preventClose)]
    fn set_prevent_close(this: &PipeOptions, value: bool);

}

/// A stream was lost: the connection broke, or the other side is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl From<JsValue> for Lost {
    fn from(_: JsValue) -> Self {
        Self
    }
}

/// Keeps a promise nobody waits for from being reported as an unhandled rejection.
fn ignore(promise: Result<Promise, JsValue>) {
    if let Ok(promise) = promise {
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(promise).await;
        });
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

    /// Splits the stream.
    ///
    /// # Errors
    /// When the stream is locked.
    pub fn tee(&self) -> Result<(Self, Self), Lost> {
        let branches = self.js_tee()?;
        Ok((branches.get(0).unchecked_into(), branches.get(1).unchecked_into()))
    }

    /// Everything up to the end at once, read natively: chunk by chunk each one costs a promise. Only for a
    /// stream that nothing was read of.
    ///
    /// # Errors
    /// When the stream is locked or fails.
    pub async fn rest(&self) -> Result<Uint8Array, Lost> {
        Ok(Uint8Array::new(&JsFuture::from(Holder::new(self)?.array_buffer()?).await?))
    }

    /// Gives the stream up; a connection behind it is closed.
    pub fn cancel(&self) {
        ignore(self.js_cancel());
    }

    /// Moves everything into `sink`, natively. At the end, or when one side fails, the sink is left open.
    ///
    /// # Errors
    /// When either is locked.
    pub fn pipe(&self, sink: &Sink) -> Result<JsFuture, Lost> {
        let options: PipeOptions = js_sys::Object::new().unchecked_into();
        options.set_prevent_abort(true);
        options.set_prevent_close(true);
        Ok(JsFuture::from(self.pipe_to(sink, &options)?))
    }
}

/// Reads a stream. At most one read is under way; one that was not waited for to its end is taken up again.
pub struct Reader {
    raw: RawReader,
    pending: Option<JsFuture>,
}

impl Reader {
    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// When the stream failed.
    pub async fn read(&mut self) -> Result<Option<Uint8Array>, Lost> {
        if self.pending.is_none() {
            self.pending = Some(JsFuture::from(self.raw.read()?));
        }
        let Some(pending) = self.pending.as_mut() else { return Ok(None) };
        let result = pending.await;
        self.pending = None;
        Ok(result?.unchecked_into::<ReadResult>().value())
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

impl Sink {
    /// Queues a chunk in front of whatever is piped later. It is not waited for: a client that is gone is
    /// noticed by the pipe.
    ///
    /// # Errors
    /// When the stream is locked.
    pub fn queue(&self, chunk: &Uint8Array) -> Result<(), Lost> {
        let writer = self.get_writer()?;
        ignore(writer.js_write(chunk));
        Ok(writer.release_lock()?)
    }

    /// Writes a chunk and waits until it was taken.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn write(&self, bytes: &[u8]) -> Result<(), Lost> {
        let writer = self.get_writer()?;
        let written = JsFuture::from(writer.js_write(&Uint8Array::from(bytes))?).await;
        writer.release_lock()?;
        written?;
        Ok(())
    }

    /// Ends the stream.
    pub async fn close(&self) {
        if let Ok(writer) = self.get_writer()
            && let Ok(closing) = writer.js_close()
        {
            let _ = JsFuture::from(closing).await;
        }
    }

    /// Breaks the stream off: the reader sees a failed connection.
    pub fn abort(&self) {
        if let Ok(writer) = self.get_writer() {
            ignore(writer.js_abort());
        }
    }
}
