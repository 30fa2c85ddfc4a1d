package io.talaria.engine;

import io.talaria.backend.Batch;
import io.talaria.backend.Device;
import io.talaria.backend.Event;
import io.talaria.backend.Step;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** A device that notes what it runs, and the events that it makes. */
final class WatchedDevice {
    private static final Set<String> NO_VERBS = Set.of("end", "close", "options");

    private final Device real;
    private final List<Ran> runs = new ArrayList<>();
    private final List<Event> events = new ArrayList<>();

    /** A step over a batch of so many rows, and its verbs. */
    record Ran(int rows, List<String> verbs) {}

    /** Behind a step that it makes. */
    private record Watch(Step step, List<String> verbs) implements InvocationHandler {
        @Override
        public Object invoke(Object proxy, Method method, Object[] args) throws Throwable {
            if (!NO_VERBS.contains(method.getName())) {
                verbs.add(method.getName());
            }
            return call(method, step, args);
        }
    }

    WatchedDevice(Device real) {
        this.real = real;
    }

    /** In the order in which they were queued. */
    List<Ran> runs() {
        return runs;
    }

    List<Event> events() {
        return events;
    }

    Device device() {
        return proxy(Device.class, (proxy, method, args) -> {
            if (method.getName().equals("run")) {
                Watch watch = (Watch) Proxy.getInvocationHandler(args[0]);
                runs.add(new Ran(((Batch) args[1]).rows(), List.copyOf(watch.verbs())));
                real.run(watch.step(), (Batch) args[1]);
                return null;
            }
            Object result = call(method, real, args);
            return switch (result) {
                case Step step -> proxy(Step.class, new Watch(step, new ArrayList<>()));
                case Event event -> {
                    events.add(event);
                    yield event;
                }
                case null, default -> result;
            };
        });
    }

    private static <T> T proxy(Class<T> type, InvocationHandler handler) {
        return type.cast(Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler));
    }

    private static Object call(Method method, Object target, Object[] args) throws Throwable {
        try {
            return method.invoke(target, args);
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }
}
