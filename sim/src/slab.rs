//! Places for what comes and goes.

/// Values by number; numbers are used again.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Keeps a value; gives its number.
    pub fn add(&mut self, value: T) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = Some(value);
            return place;
        }
        self.places.push(Some(value));
        (self.places.len() - 1) as u32
    }

    /// The value of that number, which must be there.
    pub fn at(&mut self, place: u32) -> &mut T {
        self.places[place as usize].as_mut().expect("an event names what is there")
    }

    /// The value of that number, to look at.
    #[must_use]
    pub fn see(&self, place: u32) -> &T {
        self.places[place as usize].as_ref().expect("an event names what is there")
    }

    /// Takes it away.
    pub fn take(&mut self, place: u32) -> T {
        self.free.push(place);
        self.places[place as usize].take().expect("an event names what is there")
    }

    /// All that are there.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }
}
