import { Tabs as Primitive } from 'radix-ui';
import type { ReactNode } from 'react';

export interface Tab {
  key: string;
  label: string;
  body: ReactNode;
}

/** Rooms of a page; which one is open stands in the address. */
export function Tabs({
  tabs,
  open,
  onOpen,
  label,
}: {
  tabs: Tab[];
  open: string;
  onOpen: (key: string) => void;
  label: string;
}) {
  return (
    <Primitive.Root value={open} onValueChange={onOpen}>
      <Primitive.List aria-label={label} className="flex flex-wrap gap-1 border-b border-line">
        {tabs.map((tab) => (
          <Primitive.Trigger
            key={tab.key}
            value={tab.key}
            className="tap min-h-10 border-b-2 border-transparent px-3 text-sm font-medium text-dim hover:text-text data-[state=active]:border-accent data-[state=active]:text-text"
          >
            {tab.label}
          </Primitive.Trigger>
        ))}
      </Primitive.List>
      {tabs.map((tab) => (
        <Primitive.Content key={tab.key} value={tab.key} className="pt-4">
          {tab.body}
        </Primitive.Content>
      ))}
    </Primitive.Root>
  );
}
