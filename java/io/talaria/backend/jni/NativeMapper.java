package io.talaria.backend.jni;

import org.bytedeco.javacpp.annotation.NoException;
import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * Tells JavaCPP how to turn {@code talaria.h} into the class {@code Native}: handles are longs, structs travel as direct
 * byte buffers that Java lays out itself, so that no JavaCPP pointer is ever allocated and none of its limits on
 * memory apply. Not final: the generated class extends it.
 */
@NoException
@Properties(value = @Platform(include = "talaria.h", library = "jnitalaria"), target = "io.talaria.backend.jni.Native")
public class NativeMapper implements InfoMapper {
    @Override
    public void map(InfoMap map) {
        map.put(new Info("talaria_status")
                .cast()
                .pointerTypes("java.nio.ByteBuffer")
                .skip());
        map.put(new Info("uint8_t").cast().pointerTypes("java.nio.ByteBuffer"));
        for (String struct : new String[] {"device_info", "device_options", "tensor_desc", "step_options"}) {
            map.put(new Info("talaria_" + struct).skip());
        }
    }
}
