//! Complete events out of chunks that are cut anywhere. What lies within one chunk is not copied.

/// The `event:` field, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// None, or any other.
    #[default]
    Message,
    /// `error`.
    Error,
}

/// One complete event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name.
    pub name: Name,
    /// Its data lines, joined by line feeds. Never empty unless `lost` is not 0.
    pub data: &'a [u8],
    /// Bytes of data that were not kept, since the event is longer than the limit; then `data` is empty.
    pub lost: usize,
    /// Where in the stream it ends, counted from the first byte (of a CRLF at its end, behind the CR).
    pub end: u64,
}

/// Finds events as the HTML standard defines them: lines end in LF, CR or CRLF, a byte order mark at the start
/// and comments are skipped, an event without data is none. Memory is bounded by the limit given.
#[derive(Debug)]
pub struct EventScanner {
    limit: usize,
    /// The line that is not complete yet, and how much of it was dropped.
    pub(super) line: Vec<u8>,
    line_lost: usize,
    /// The data of the event that is not complete yet, if it does not lie in the chunk being read.
    pub(super) data: Vec<u8>,
    pub(super) has_data: bool,
    /// Bytes dropped from the event that is not complete yet.
    pub(super) lost: usize,
    name: Name,
    /// The event that is not complete yet has a line that is no comment.
    pub(super) open: bool,
    /// The last chunk ended in CR; an LF that follows belongs to it.
    after_cr: bool,
    first_line: bool,
    /// Bytes fed so far.
    bytes: u64,
}

impl EventScanner {
    /// Keeps at most `limit` bytes of one event's data, and as much of one line.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            line_lost: 0,
            data: Vec::new(),
            has_data: false,
            lost: 0,
            name: Name::Message,
            open: false,
            after_cr: false,
            first_line: true,
            bytes: 0,
        }
    }

    /// Bytes fed so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name of the event that is not complete yet.
    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// The stream stops within an event: a line is not complete, or the event lacks its blank line.
    pub fn mid_frame(&self) -> bool {
        self.open || self.line_lost > 0 || !self.line.is_empty()
    }

    /// Whether the unfinished event is too long to be known.
    pub(super) fn overflowed(&self) -> bool {
        self.lost + self.line_lost > 0
    }

    /// Reads on and gives each event that is complete to `on_event`.
    pub fn feed<'c>(&mut self, chunk: &'c [u8], mut on_event: impl FnMut(Event<'_>)) {
        let base = self.bytes;
        self.bytes += chunk.len() as u64;
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        // The open event's data while it is one line of this very chunk.
        let mut here: Option<&'c [u8]> = None;
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let line = rest.get(..at).unwrap_or_default();
            let cr = rest.get(at) == Some(&b'\r');
            rest = rest.get(at + 1..).unwrap_or_default();
            let end = base + (chunk.len() - rest.len()) as u64;
            if cr {
                self.after_cr = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            if self.line.is_empty() && self.line_lost == 0 {
                if line.len() > self.limit {
                    self.drop_line(line.len(), &mut here);
                } else {
                    self.whole_line(line, &mut here, end, &mut on_event);
                }
                continue;
            }
            self.keep(line);
            if self.line_lost > 0 {
                let lost = std::mem::take(&mut self.line_lost);
                self.drop_line(lost, &mut here);
                continue;
            }
            let carried = std::mem::take(&mut self.line);
            // Its data can't be borrowed from the chunk, so it is kept at once.
            let mut own = None;
            self.settle(here.take());
            self.whole_line(&carried, &mut own, end, &mut on_event);
            self.settle(own);
            self.line = carried;
            self.line.clear();
        }
        self.keep(rest);
        self.settle(here);
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line_lost > 0 || self.line.len() + part.len() > self.limit {
            self.line_lost += self.line.len() + part.len();
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    /// A line that was too long to be kept: it is taken for data, which it is but for malice.
    fn drop_line(&mut self, length: usize, here: &mut Option<&[u8]>) {
        self.lost += length + here.take().map_or(0, <[u8]>::len) + self.data.len();
        self.data.clear();
        self.first_line = false;
        self.open = true;
        self.has_data = true;
    }

    fn settle(&mut self, data: Option<&[u8]>) {
        if let Some(data) = data {
            self.add(data);
        }
    }

    fn add(&mut self, data: &[u8]) {
        if self.lost > 0 || self.data.len() + data.len() >= self.limit {
            self.lost += self.data.len() + data.len();
            self.data.clear();
            return;
        }
        self.data.extend_from_slice(data);
    }

    fn whole_line<'l>(
        &mut self,
        line: &'l [u8],
        here: &mut Option<&'l [u8]>,
        end: u64,
        on_event: &mut impl FnMut(Event<'_>),
    ) {
        let line = if std::mem::take(&mut self.first_line) { strip_mark(line) } else { line };
        if line.is_empty() {
            let data = here.take().unwrap_or(&self.data);
            if !data.is_empty() || self.lost > 0 {
                let data = if self.lost > 0 { &[] } else { data };
                on_event(Event { name: self.name, data, lost: self.lost, end });
            }
            self.data.clear();
            (self.has_data, self.open, self.lost, self.name) = (false, false, 0, Name::Message);
            return;
        }
        match field(line) {
            Field::Comment => return,
            Field::Data(data) => {
                if self.has_data {
                    self.settle(here.take());
                    self.add(b"\n");
                    self.add(data);
                } else if data.len() < self.limit {
                    *here = Some(data);
                } else {
                    self.add(data);
                }
                self.has_data = true;
            }
            Field::Event(name) => self.name = if name == b"error" { Name::Error } else { Name::Message },
            Field::Other => {}
        }
        self.open = true;
    }
}

pub(super) enum Field<'a> {
    Comment,
    Data(&'a [u8]),
    Event(&'a [u8]),
    Other,
}

pub(super) fn field(line: &[u8]) -> Field<'_> {
    if let Some(rest) = line.strip_prefix(b"data") {
        match rest.split_first() {
            Some((b':', value)) => return Field::Data(value.strip_prefix(b" ").unwrap_or(value)),
            None => return Field::Data(b""),
            Some(_) => {}
        }
    }
    if let Some(value) = line.strip_prefix(b"event:") {
        return Field::Event(value.strip_prefix(b" ").unwrap_or(value));
    }
    if line.starts_with(b":") { Field::Comment } else { Field::Other }
}

/// A byte order mark at the start of a stream is no part of it.
pub(super) fn strip_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line)
}
