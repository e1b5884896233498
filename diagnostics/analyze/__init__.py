"""From evidence to meaning. Pure functions of the model; nothing here touches the world."""
